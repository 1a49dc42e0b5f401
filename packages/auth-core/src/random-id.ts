import type { Random } from './world/index.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** 126 random bits as 21 characters that are safe in names, URLs and JSON. */
export function randomId(random: Random): string {
  return Array.from(random.bytes(21), (byte) => ALPHABET[byte & 63]).join('')
}
