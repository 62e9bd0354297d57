/**
 * The keys of a 101/102-key keyboard (and the three of Windows): names, scan codes of sets 2 and 3. Set 1 follows from
 * set 2 by translation. IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)", tables of scan
 * code sets. A key has two names: the short one that command lines use (`ret`), and the W3C UI Events `code` (`Enter`).
 */

export interface Key {
  readonly name: string;
  readonly code: string;
  /** Bits 15-8: prefix 0xE0 or 0. */
  readonly set2: number;
  readonly set3: number;
}

const E0 = 0xe000;

/** Keys that are sent as sequences of their own. */
export const PRINT = 'print';
export const PAUSE = 'pause';

// prettier-ignore
const ROWS: readonly (readonly [name: string, code: string, set2: number, set3: number])[] = [
  ['esc', 'Escape', 0x76, 0x08], ['f1', 'F1', 0x05, 0x07], ['f2', 'F2', 0x06, 0x0f], ['f3', 'F3', 0x04, 0x17], ['f4', 'F4', 0x0c, 0x1f], ['f5', 'F5', 0x03, 0x27],
  ['f6', 'F6', 0x0b, 0x2f], ['f7', 'F7', 0x83, 0x37], ['f8', 'F8', 0x0a, 0x3f], ['f9', 'F9', 0x01, 0x47], ['f10', 'F10', 0x09, 0x4f], ['f11', 'F11', 0x78, 0x56],
  ['f12', 'F12', 0x07, 0x5e], [PRINT, 'PrintScreen', E0 | 0x7c, 0x57], ['scroll_lock', 'ScrollLock', 0x7e, 0x5f], [PAUSE, 'Pause', 0x77, 0x62],
  ['grave_accent', 'Backquote', 0x0e, 0x0e], ['1', 'Digit1', 0x16, 0x16], ['2', 'Digit2', 0x1e, 0x1e], ['3', 'Digit3', 0x26, 0x26], ['4', 'Digit4', 0x25, 0x25],
  ['5', 'Digit5', 0x2e, 0x2e], ['6', 'Digit6', 0x36, 0x36], ['7', 'Digit7', 0x3d, 0x3d], ['8', 'Digit8', 0x3e, 0x3e], ['9', 'Digit9', 0x46, 0x46], ['0', 'Digit0', 0x45, 0x45],
  ['minus', 'Minus', 0x4e, 0x4e], ['equal', 'Equal', 0x55, 0x55], ['backspace', 'Backspace', 0x66, 0x66],
  ['tab', 'Tab', 0x0d, 0x0d], ['q', 'KeyQ', 0x15, 0x15], ['w', 'KeyW', 0x1d, 0x1d], ['e', 'KeyE', 0x24, 0x24], ['r', 'KeyR', 0x2d, 0x2d], ['t', 'KeyT', 0x2c, 0x2c],
  ['y', 'KeyY', 0x35, 0x35], ['u', 'KeyU', 0x3c, 0x3c], ['i', 'KeyI', 0x43, 0x43], ['o', 'KeyO', 0x44, 0x44], ['p', 'KeyP', 0x4d, 0x4d],
  ['bracket_left', 'BracketLeft', 0x54, 0x54], ['bracket_right', 'BracketRight', 0x5b, 0x5b], ['backslash', 'Backslash', 0x5d, 0x5c],
  ['caps_lock', 'CapsLock', 0x58, 0x14], ['a', 'KeyA', 0x1c, 0x1c], ['s', 'KeyS', 0x1b, 0x1b], ['d', 'KeyD', 0x23, 0x23], ['f', 'KeyF', 0x2b, 0x2b], ['g', 'KeyG', 0x34, 0x34],
  ['h', 'KeyH', 0x33, 0x33], ['j', 'KeyJ', 0x3b, 0x3b], ['k', 'KeyK', 0x42, 0x42], ['l', 'KeyL', 0x4b, 0x4b], ['semicolon', 'Semicolon', 0x4c, 0x4c],
  ['apostrophe', 'Quote', 0x52, 0x52], ['ret', 'Enter', 0x5a, 0x5a],
  ['shift', 'ShiftLeft', 0x12, 0x12], ['less', 'IntlBackslash', 0x61, 0x13], ['z', 'KeyZ', 0x1a, 0x1a], ['x', 'KeyX', 0x22, 0x22], ['c', 'KeyC', 0x21, 0x21],
  ['v', 'KeyV', 0x2a, 0x2a], ['b', 'KeyB', 0x32, 0x32], ['n', 'KeyN', 0x31, 0x31], ['m', 'KeyM', 0x3a, 0x3a], ['comma', 'Comma', 0x41, 0x41], ['dot', 'Period', 0x49, 0x49],
  ['slash', 'Slash', 0x4a, 0x4a], ['shift_r', 'ShiftRight', 0x59, 0x59],
  ['ctrl', 'ControlLeft', 0x14, 0x11], ['meta_l', 'MetaLeft', E0 | 0x1f, 0x8b], ['alt', 'AltLeft', 0x11, 0x19], ['spc', 'Space', 0x29, 0x29],
  ['alt_r', 'AltRight', E0 | 0x11, 0x39], ['meta_r', 'MetaRight', E0 | 0x27, 0x8c], ['menu', 'ContextMenu', E0 | 0x2f, 0x8d], ['ctrl_r', 'ControlRight', E0 | 0x14, 0x58],
  ['insert', 'Insert', E0 | 0x70, 0x67], ['home', 'Home', E0 | 0x6c, 0x6e], ['pgup', 'PageUp', E0 | 0x7d, 0x6f], ['delete', 'Delete', E0 | 0x71, 0x64],
  ['end', 'End', E0 | 0x69, 0x65], ['pgdn', 'PageDown', E0 | 0x7a, 0x6d], ['up', 'ArrowUp', E0 | 0x75, 0x63], ['left', 'ArrowLeft', E0 | 0x6b, 0x61],
  ['down', 'ArrowDown', E0 | 0x72, 0x60], ['right', 'ArrowRight', E0 | 0x74, 0x6a],
  ['num_lock', 'NumLock', 0x77, 0x76], ['kp_divide', 'NumpadDivide', E0 | 0x4a, 0x77], ['kp_multiply', 'NumpadMultiply', 0x7c, 0x7e], ['kp_subtract', 'NumpadSubtract', 0x7b, 0x84],
  ['kp_7', 'Numpad7', 0x6c, 0x6c], ['kp_8', 'Numpad8', 0x75, 0x75], ['kp_9', 'Numpad9', 0x7d, 0x7d], ['kp_add', 'NumpadAdd', 0x79, 0x7c],
  ['kp_4', 'Numpad4', 0x6b, 0x6b], ['kp_5', 'Numpad5', 0x73, 0x73], ['kp_6', 'Numpad6', 0x74, 0x74], ['kp_1', 'Numpad1', 0x69, 0x69], ['kp_2', 'Numpad2', 0x72, 0x72],
  ['kp_3', 'Numpad3', 0x7a, 0x7a], ['kp_enter', 'NumpadEnter', E0 | 0x5a, 0x79], ['kp_0', 'Numpad0', 0x70, 0x70], ['kp_decimal', 'NumpadDecimal', 0x71, 0x71],
];

export const KEYS: readonly Key[] = ROWS.map(([name, code, set2, set3]) => ({ name, code, set2, set3 }));

const INDEX_BY_NAME: ReadonlyMap<string, number> = new Map(
  KEYS.flatMap(
    (key, i) =>
      [
        [key.name, i],
        [key.code, i],
      ] as const,
  ),
);

/** Place of a key in `KEYS`, by either of its names; -1: there is no such key. */
export function findKey(name: string): number {
  return INDEX_BY_NAME.get(name) ?? -1;
}
