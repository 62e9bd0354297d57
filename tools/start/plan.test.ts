import { describe, expect, it } from 'vitest';
import { planStart } from './plan.mjs';

const FILES = { kernel: 'K', initramfs: 'R', initrd: 'I', version: '1', fresh: false };
const made = (words: string[], size?: { rows: number; columns: number }) => planStart(words, size).withKernel(FILES);

describe('npm start', () => {
  it('boots the fetched kernel with the small initramfs and tells the guest the size of the terminal', () => {
    expect(made([], { rows: 24, columns: 80 })).toEqual([
      '-kernel',
      'K',
      '-append',
      'console=ttyS0 emkit.tty=24x80',
      '-initrd',
      'R',
      '-m',
      '256',
    ]);
  });
  it('passes options on and adds -append to its own command line', () => {
    expect(made(['-m', '64', '--append', 'quiet', '-icount', '3'])).toEqual([
      '-kernel',
      'K',
      '-append',
      'console=ttyS0 quiet',
      '-initrd',
      'R',
      '-m',
      '64',
      '-icount',
      '3',
    ]);
  });
  it('hands --arch to emkit, and knows it for the choice of the kernel', () => {
    expect(made(['--arch', 'x86_64', '-m', '64']).slice(-4)).toEqual(['--arch', 'x86_64', '-m', '64']);
    const arch = (...words: string[]) => planStart(words, undefined).arch;
    expect([arch(), arch('--arch', 'x86_64'), arch('--arch=x86_64'), arch('--arch')]).toEqual([
      'i386',
      'x86_64',
      'x86_64',
      '',
    ]);
  });
  it('boots the whole installer on request', () => {
    expect(made(['--installer'])).toEqual(['-kernel', 'K', '-append', 'console=ttyS0', '-initrd', 'I', '-m', '512']);
  });
  it('fetches nothing when there is a kernel, or nothing to run', () => {
    const needs = (...words: string[]) => planStart(words, undefined).needsKernel;
    expect([
      needs('--kernel', 'x', '--initrd', 'y', '--append', 'z'),
      needs('--demo'),
      needs('-help'),
      needs('--explain=json'),
      needs('-cpu', 'help'),
    ]).toEqual([false, false, false, false, false]);
    expect([needs(), needs('-m', '64'), needs('-append', '--demo'), needs('--initrd', 'mine')]).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });
  it('keeps the words of the user in order with a kernel of their own', () => {
    expect(planStart(['--kernel', 'x', '--append', 'z y', '-S'], undefined).emkitArguments).toEqual([
      '--kernel',
      'x',
      '-S',
      '-append',
      'z y',
    ]);
  });
});
