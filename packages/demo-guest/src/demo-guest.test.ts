import { describe, expect, it } from 'vitest';
import { DEMO_GUEST_MEMORY, demoGuest } from './demo-guest.ts';

describe('demo guest', () => {
  it('has a multiboot header with address fields that describe the file', () => {
    const image = demoGuest();
    const v = new DataView(image.buffer);
    expect(v.getUint32(0, true)).toBe(0x1badb002);
    expect((v.getUint32(0, true) + v.getUint32(4, true) + v.getUint32(8, true)) >>> 0).toBe(0);
    const [header, load, dataEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((at) => v.getUint32(at, true));
    expect([header, load]).toEqual([0x100000, 0x100000]);
    expect(dataEnd! - load!).toBe(image.length);
    expect(entry).toBeLessThan(dataEnd!);
    expect(bssEnd!).toBeGreaterThan(dataEnd!);
    expect(bssEnd!).toBeLessThan(DEMO_GUEST_MEMORY);
  });
});
