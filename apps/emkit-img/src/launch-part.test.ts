import { expect, it } from 'vitest';
import { launchPart } from './launch-part.ts';

it.each([
  ['info a.img', 'info'],
  ['convert a b', 'convert'],
  ['convert -f raw -O qcow2 a b', 'convert-raw-qcow2'],
  ['convert -O vmdk -c -f qcow2 a b', 'convert-qcow2-vmdk'],
  ['convert -O raw a b', 'convert-raw'],
  ['convert -f nonsense -O qcow2 a b', 'convert-qcow2'],
  ['convert a b -O', 'convert'],
  ['info -f raw a', 'info'],
])('%s', (line, part) => {
  expect(launchPart(line.split(' '))).toBe(part);
});

it('no words, no part', () => {
  expect(launchPart([])).toBeUndefined();
});
