import { describe, expect, it } from 'vitest';
import { formatNbdUri, parseNbdUri, type NbdAddress } from './index.ts';

describe('NBD URIs', () => {
  // the table of uri.md, "NBD URI export name", and its examples
  it.each<[string, NbdAddress]>([
    ['nbd://example.com/disk', { type: 'tcp', host: 'example.com', port: 10809, exportName: 'disk' }],
    ['nbd+unix:///disk?socket=sock', { type: 'unix', path: 'sock', exportName: 'disk' }],
    ['nbd://example.com/', { type: 'tcp', host: 'example.com', port: 10809, exportName: '' }],
    ['nbd://example.com', { type: 'tcp', host: 'example.com', port: 10809, exportName: '' }],
    ['nbd://example.com//disk', { type: 'tcp', host: 'example.com', port: 10809, exportName: '/disk' }],
    ['nbd://example.com/hello%20world', { type: 'tcp', host: 'example.com', port: 10809, exportName: 'hello world' }],
    ['nbd://example.com:10810/export', { type: 'tcp', host: 'example.com', port: 10810, exportName: 'export' }],
    ['nbd://[::1]:2/e', { type: 'tcp', host: '::1', port: 2, exportName: 'e' }],
    ['nbd+unix://?socket=/tmp/a%20b', { type: 'unix', path: '/tmp/a b', exportName: '' }],
    ['NBD://h', { type: 'tcp', host: 'h', port: 10809, exportName: '' }],
    ['nbd://user@h/x', { type: 'tcp', host: 'h', port: 10809, exportName: 'x' }],
    ['nbd://', { type: 'tcp', host: 'localhost', port: 10809, exportName: '' }],
  ])('%s', (uri, address) => {
    expect(parseNbdUri(uri)).toEqual(address);
    expect(parseNbdUri(formatNbdUri(address))).toEqual(address);
  });

  it.each([
    'nbds://h/x',
    'nbds+unix:///?socket=s',
    'http://h/x',
    'nbd:h:10809',
    'nbd+unix:///x',
    'nbd+unix://h/x?socket=s',
    'nbd+unix:///?socket=a&socket=b',
    'nbd://h:0/',
    'nbd://h:65536/',
    'nbd://h:port/',
    'nbd://[::1/',
    'nbd://h/%zz',
    'nbd://h/%ff',
    'nbd://h/?tls-type=psk',
    'nbd+unix:///?socket=s&x=1',
    '',
  ])('refuses %j', (uri) => {
    expect(() => parseNbdUri(uri)).toThrow(expect.objectContaining({ name: 'BlockError', kind: 'invalid-option' }));
  });
});
