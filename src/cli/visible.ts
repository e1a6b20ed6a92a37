/**
 * Control characters (C0, DEL, C1), line and paragraph separators and marks that turn the direction of writing: printed
 * as they are, they would let a label or a message repaint the terminal.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unseen = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** `text` on one line, with every such character written out: `\n`, `\x1b`, `\u202e`. */
export const visible = (text: string): string => text.replace(unseen, written);

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const written = (character: string): string => {
  const point = character.charCodeAt(0);
  const code = point < 0x100 ? `x${hex(point, 2)}` : `u${hex(point, 4)}`;
  return short[character] ?? `\\${code}`;
};

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
