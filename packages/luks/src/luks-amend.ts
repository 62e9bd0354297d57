/**
 * Changes of key slots: add a passphrase, erase one. The payload and its key stay what they are.
 *
 * Crash safety: a new slot is complete on disk before its `active` word is written, and that word is written alone, since a slot's entry
 * may straddle two sectors. An erased slot is marked first; its material is overwritten afterwards.
 *
 * Spec: LUKS1 specification §4.2, §4.4 "Password revocation"; option names and refusals as QEMU 7.2's.
 */
import { BlockError, type WritableStorage } from '@emkit/storage';
import { measureIterations, platformRandom } from './hash.ts';
import { checkPassphrase, openSlot, sealSlot } from './key-slot.ts';
import { SECTOR_SIZE } from './limits.ts';
import {
  materialSectors,
  serializeSlot,
  Slot,
  SLOT_COUNT,
  slotOffset,
  type KeySlot,
  type LuksHeader,
} from './luks-header.ts';
import {
  atLeast,
  openLuks,
  parseIterTime,
  readLuksHeader,
  readMaterial,
  type CreateLuksDependencies,
  type LuksOptions,
} from './luks-volume.ts';

export type LuksArea = Pick<WritableStorage, 'read' | 'write' | 'flush'>;

export interface AmendLuksOptions extends CreateLuksDependencies {
  /** `state`, `new-secret`, `old-secret`, `keyslot`, `iter-time`. */
  readonly options: LuksOptions;
  /** A passphrase by the ID that an option gives. */
  readonly secret: (id: string) => Promise<Uint8Array> | Uint8Array;
  /** Opens the volume when a slot is added and `old-secret` is absent. */
  readonly passphrase?: (() => Promise<Uint8Array> | Uint8Array) | undefined;
  /** Also overwrite an active slot, also erase the last one. */
  readonly force?: boolean | undefined;
}

const AMEND_OPTIONS = ['state', 'new-secret', 'old-secret', 'keyslot', 'iter-time'];
const refuse = (message: string): never => {
  throw new BlockError('invalid-option', message);
};

export async function amendLuks(area: LuksArea, amend: AmendLuksOptions): Promise<void> {
  const { options } = amend;
  for (const name of Object.keys(options))
    if (!AMEND_OPTIONS.includes(name)) refuse(`Parameter '${name}' is unexpected`);
  const number = options['keyslot'];
  if (number !== undefined && !/^[0-7]$/.test(number)) refuse(`Invalid keyslot ${number}`);
  const keyslot = number === undefined ? undefined : Number(number);
  if (options['state'] === 'active') return addSlot(area, amend, keyslot);
  if (options['state'] === 'inactive') return eraseSlots(area, amend, keyslot);
  return refuse("Parameter 'state' is required: active or inactive");
}

async function addSlot(area: LuksArea, amend: AmendLuksOptions, keyslot: number | undefined): Promise<void> {
  const { options, random = platformRandom, iterations = measureIterations, aes } = amend;
  const newId = options['new-secret'] ?? refuse("'new-secret' is required to activate a keyslot");
  const iterTime = parseIterTime(options['iter-time']);
  const header = await readLuksHeader(area);
  const index = keyslot ?? header.slots.findIndex((slot) => !slot.active);
  const old = header.slots[index];
  if (old === undefined) return refuse("Can't add a keyslot - all keyslots are in use");
  if (old.active && amend.force !== true)
    refuse(`Refusing to overwrite active keyslot ${index} - please erase it first`);
  const oldId = options['old-secret'];
  const opener = oldId === undefined ? amend.passphrase : () => amend.secret(oldId);
  if (opener === undefined) return refuse("'old-secret' is required to activate a keyslot");
  const { masterKey } = await openLuks(area, await opener(), { aes });
  const passphrase = await amend.secret(newId);
  checkPassphrase(passphrase);
  const salt = new Uint8Array(32);
  random(salt);
  const count = atLeast(await iterations(header.hash, header.keyBytes, iterTime));
  const slot: KeySlot = { ...old, active: true, iterations: count, salt };
  const material = await sealSlot(header, slot, masterKey, passphrase, random, aes);

  if (old.active) await writeSlot(area, index, { ...old, active: false });
  await area.write(old.materialSector * SECTOR_SIZE, material);
  await writeSlot(area, index, { ...slot, active: false });
  await area.write(slotOffset(index), serializeSlot(slot).subarray(Slot.ACTIVE, Slot.ITERATIONS));
  await area.flush();
}

async function writeSlot(area: LuksArea, index: number, slot: KeySlot): Promise<void> {
  await area.write(slotOffset(index), serializeSlot(slot));
  await area.flush();
}

async function eraseSlots(area: LuksArea, amend: AmendLuksOptions, keyslot: number | undefined): Promise<void> {
  const { options } = amend;
  const oldId = options['old-secret'];
  if (options['new-secret'] !== undefined) refuse("'new-secret' must not be given when erasing keyslots");
  if (options['iter-time'] !== undefined) refuse("'iter-time' must not be given when erasing keyslots");
  const header = await readLuksHeader(area);
  const active = header.slots.filter((slot) => slot.active).length;
  if (oldId === undefined) {
    if (keyslot === undefined) return refuse('To erase keyslot(s), either their index or a secret must be given');
    if ((header.slots[keyslot] as KeySlot).active && active === 1 && amend.force !== true)
      refuse(
        `Attempt to erase the only active keyslot ${keyslot} which will erase all the data in the image irreversibly - refusing operation`,
      );
    return eraseSlot(area, amend, header, keyslot);
  }
  const passphrase = await amend.secret(oldId);
  checkPassphrase(passphrase);
  const matching: number[] = [];
  for (let i = 0; i < SLOT_COUNT; i++) {
    const slot = header.slots[i] as KeySlot;
    if (!slot.active || (keyslot !== undefined && keyslot !== i)) continue;
    const key = await openSlot(header, slot, await readMaterial(area, header, i), passphrase, amend.aes);
    if (key !== undefined) matching.push(i);
  }
  if (matching.length === 0)
    refuse(
      keyslot === undefined
        ? 'No keyslots match given (old) password for erase operation'
        : `This secret cannot unlock keyslot ${keyslot}`,
    );
  if (matching.length === active && amend.force !== true)
    refuse(
      'All the active keyslots match the (old) password that was given and erasing them will erase all the data in the image irreversibly - refusing operation',
    );
  for (const index of matching) await eraseSlot(area, amend, header, index);
}

/** Random bytes, then zeroes over the material: a slot that is marked only would still open with a kept copy of the header. */
async function eraseSlot(area: LuksArea, amend: AmendLuksOptions, header: LuksHeader, index: number): Promise<void> {
  const slot = header.slots[index] as KeySlot;
  await writeSlot(area, index, { ...slot, active: false, iterations: 0, salt: new Uint8Array(32) });
  const bytes = new Uint8Array(materialSectors(header.keyBytes, slot.stripes) * SECTOR_SIZE);
  (amend.random ?? platformRandom)(bytes);
  await area.write(slot.materialSector * SECTOR_SIZE, bytes);
  await area.flush();
  await area.write(slot.materialSector * SECTOR_SIZE, bytes.fill(0));
  await area.flush();
}
