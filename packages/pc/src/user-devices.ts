/** `-device` and `-debugcon`: devices that the user adds to the board, by name and properties. */
import { ISA_DEBUG_EXIT, ISA_DEBUGCON } from '@emkit/debugcon';
import { ISA_SERIAL } from '@emkit/serial';
import type { AnyDeviceType } from '@emkit/qdev';
import type { Board } from './board.ts';
import { PcError } from './options.ts';
import type { DeviceOption, PcOptions, SerialBackend } from './options.ts';

/** Device types a user can name. */
export const USER_DEVICES: readonly AnyDeviceType[] = [ISA_DEBUG_EXIT, ISA_DEBUGCON, ISA_SERIAL];

const sinkOf = (backend: SerialBackend): { write(byte: number): void } => {
  const one = new Uint8Array(1);
  return {
    write: (byte) => {
      one[0] = byte;
      backend.write(one);
    },
  };
};

export function addUserDevices(board: Board, options: PcOptions): void {
  const isa = board.piix3.isaBus;
  if (options.debugcon !== undefined)
    board.machine.add(ISA_DEBUGCON, { id: 'debugcon', bus: isa, properties: { chardev: sinkOf(options.debugcon) } });
  (options.devices ?? []).forEach((device, n) => addOne(board, device, n, options));
}

function addOne(board: Board, device: DeviceOption, n: number, options: PcOptions): void {
  const type = USER_DEVICES.find((t) => t.name === device.driver);
  if (type === undefined)
    throw new PcError(
      `${device.typed}: '${device.driver}' is not a valid device model name`,
      `known: ${USER_DEVICES.map((t) => t.name).join(', ')}`,
    );
  const properties: Record<string, unknown> = {};
  for (const g of options.globals ?? []) if (g.driver === device.driver) properties[g.property] = g.value;
  for (const [key, value] of device.properties) if (key !== 'id' && key !== 'chardev') properties[key] = value;
  if (device.backend !== undefined)
    properties['chardev'] = device.driver === 'isa-debugcon' ? sinkOf(device.backend) : device.backend;
  try {
    board.machine.add(type, {
      id: device.properties.get('id') ?? `${device.driver}.${n}`,
      bus: board.piix3.isaBus,
      properties,
    });
  } catch (error) {
    if (
      error instanceof Error &&
      (error.name === 'PropertyError' || error.name === 'DeviceError' || error.name === 'MachineError')
    )
      throw new PcError(`${device.typed}: ${error.message}`, `list: -device ${device.driver},help`);
    throw error;
  }
}
