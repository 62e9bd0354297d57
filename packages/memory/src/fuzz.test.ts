/** Random maps and accesses against a byte-by-byte model that knows nothing of flat views. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressSpace, MemoryRegion, PortSpace, RamBlock } from './index.ts';

const SPACE = 0x400;
interface Spec {
  readonly kind: 'ram' | 'rom' | 'io' | 'alias' | 'container';
  readonly parent: number;
  readonly offset: number;
  readonly size: number;
  readonly priority: number;
  readonly enabled: boolean;
  readonly aliasOf: number;
  readonly aliasOffset: number;
}
const spec: fc.Arbitrary<Spec> = fc.record({
  kind: fc.constantFrom('ram', 'rom', 'io', 'alias', 'container'),
  parent: fc.nat(10),
  offset: fc.nat(SPACE),
  size: fc.integer({ min: 1, max: SPACE }),
  priority: fc.integer({ min: -2, max: 2 }),
  enabled: fc.boolean(),
  aliasOf: fc.nat(10),
  aliasOffset: fc.nat(64),
});

interface Node {
  readonly region: MemoryRegion;
  readonly spec: Spec;
  readonly children: Node[];
  readonly target: Node | null;
  /** Order of adding: the later wins among equal priorities. */
  readonly order: number;
}
interface Leaf {
  readonly node: Node;
  readonly offset: number;
  readonly readonly: boolean;
}

/** The definition of the map, for one address: children by priority, then the region itself. */
function resolve(node: Node, address: number, readonly: boolean): Leaf | null {
  if (!node.region.enabled || address < 0 || address >= node.region.size) return null;
  const isReadonly = readonly || node.spec.kind === 'rom';
  if (node.target !== null) return resolve(node.target, address + node.spec.aliasOffset, isReadonly);
  const children = [...node.children].sort((a, b) => b.spec.priority - a.spec.priority || b.order - a.order);
  for (const child of children) {
    const leaf = resolve(child, address - child.spec.offset, isReadonly);
    if (leaf !== null) return leaf;
  }
  return node.spec.kind === 'container' ? null : { node, offset: address, readonly: isReadonly };
}

describe('random memory maps', () => {
  it('agree with a byte-by-byte model', () => {
    fc.assert(
      fc.property(
        fc.array(spec, { maxLength: 10 }),
        fc.array(
          fc.record({
            address: fc.nat(SPACE + 8),
            value: fc.nat(0xffffffff),
            size: fc.constantFrom(1, 2, 4, 8),
            write: fc.boolean(),
          }),
          { maxLength: 40 },
        ),
        (specs, accesses) => {
          const rootSpec = {
            kind: 'container',
            parent: 0,
            offset: 0,
            size: SPACE,
            priority: 0,
            enabled: true,
            aliasOf: 0,
            aliasOffset: 0,
          } as const;
          const nodes: Node[] = [
            { region: MemoryRegion.container('root', SPACE), spec: rootSpec, children: [], target: null, order: 0 },
          ];
          const memory = new AddressSpace({ name: 'memory', root: (nodes[0] as Node).region });
          const ports = new PortSpace({ name: 'ports', root: (nodes[0] as Node).region });
          const contents = new Map<Node, Uint8Array>();
          specs.forEach((s, order) => {
            const target = s.kind === 'alias' ? (nodes[s.aliasOf % nodes.length] as Node) : null;
            const bytes = new Uint8Array(s.size);
            const shadow = new Uint8Array(s.size).map((_, i) => i * 7 + order);
            bytes.set(shadow);
            const block = new RamBlock({ name: `b${order}`, size: s.size, bytes });
            const region =
              s.kind === 'ram'
                ? MemoryRegion.ram('ram', block)
                : s.kind === 'rom'
                  ? MemoryRegion.rom('rom', block)
                  : s.kind === 'io'
                    ? MemoryRegion.io('io', s.size, {
                        read: (o) => bytes[o] as number,
                        write: (o, v) => void (bytes[o] = v),
                        impl: { max: 1 },
                      })
                    : target !== null
                      ? MemoryRegion.alias('alias', target.region, { offset: s.aliasOffset, size: s.size })
                      : MemoryRegion.container('box', s.size);
            region.setEnabled(s.enabled);
            const node: Node = { region, spec: s, children: [], target, order };
            const parent = nodes[s.parent % nodes.length] as Node;
            try {
              parent.region.add(s.offset, region, s.priority);
            } catch {
              return; // a cycle or an alias as parent: refused, and nothing has changed
            }
            parent.children.push(node);
            nodes.push(node);
            contents.set(node, shadow);
          });
          const load = (address: number): number => {
            const leaf = resolve(nodes[0] as Node, address, false);
            return leaf === null ? 0xff : ((contents.get(leaf.node) as Uint8Array)[leaf.offset] as number);
          };
          const store = (address: number, value: number): void => {
            const leaf = resolve(nodes[0] as Node, address, false);
            if (leaf !== null && !leaf.readonly) (contents.get(leaf.node) as Uint8Array)[leaf.offset] = value;
          };
          accesses.forEach(({ address, value, size, write }, i) => {
            const space = i % 2 === 0 ? memory : ports;
            if (write) {
              if (size === 1) space.write8(address, value);
              else if (size === 2) space.write16(address, value);
              else if (size === 4) space.write32(address, value);
              else space.write64(address, value, ~value);
              for (let b = 0; b < size; b++)
                store(address + b, (b < 4 ? value >>> (b * 8) : ~value >>> ((b - 4) * 8)) & 0xff);
            }
            const expected = [0, 1, 2, 3].map((b) => load(address + b));
            expect([
              space.read8(address),
              space.read8(address + 1),
              space.read8(address + 2),
              space.read8(address + 3),
            ]).toEqual(expected);
            const word =
              ((expected[0] as number) |
                ((expected[1] as number) << 8) |
                ((expected[2] as number) << 16) |
                ((expected[3] as number) << 24)) >>>
              0;
            expect(space.read32(address)).toBe(word);
            expect(space.read16(address)).toBe(word & 0xffff);
            const bulk = new Uint8Array(4);
            space.readBytes(address, bulk);
            expect([...bulk]).toEqual(expected);
          });
          for (const [i, range] of memory.view.ranges.entries()) {
            expect(range.start).toBeLessThan(range.end);
            if (i > 0) expect(range.start).toBeGreaterThanOrEqual((memory.view.ranges[i - 1] as { end: number }).end);
          }
        },
      ),
      { numRuns: 1500, seed: 20260101 },
    );
  });
});
