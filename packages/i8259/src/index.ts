export { I8259, I8259Pair } from './i8259.ts';
export { CASCADE_LINE } from './registers.ts';
