import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Files under `folder` that hold one of `secrets` in any of the forms a program may write it down in, as `form of name in file`. */
export async function findOnDisk(folder: string, secrets: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const wanted = Object.entries(secrets).flatMap(([name, secret]) =>
    formsOf(secret).map(([form, bytes]) => ({ what: `${form} of ${name}`, bytes })),
  )
  const hits: string[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const content = await readFile(path).catch(() => Buffer.alloc(0)) // browsers delete files while they run
    for (const { what, bytes } of wanted) if (content.includes(bytes)) hits.push(`${what} in ${path.slice(folder.length)}`)
  }
  return hits
}

/** Raw, UTF-16 (both orders), hex, base64 at the three shifts it can have inside longer text, base64url, JSON-escaped, percent-encoded. */
export function formsOf(secret: string): readonly (readonly [form: string, bytes: Buffer])[] {
  const utf16 = Buffer.from(secret, 'utf16le')
  const hex = Buffer.from(secret).toString('hex')
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)]).toString('base64')
    // Only the characters that depend on nothing but the secret.
    return encoded.slice(shift === 0 ? 0 : 4, Math.floor(((shift + Buffer.byteLength(secret)) * 8) / 6) - 1)
  })
  const escaped = JSON.stringify(secret).slice(1, -1)
  const unicode = Array.from(secret, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  return [
    ['raw', Buffer.from(secret)],
    ['UTF-16', utf16],
    ['UTF-16 (big-endian)', Buffer.from(utf16).swap16()],
    ['hex', Buffer.from(hex)],
    ['HEX', Buffer.from(hex.toUpperCase())],
    ...base64.map((text, shift) => [`base64 shifted by ${shift}`, Buffer.from(text)] as const),
    ...base64.map((text, shift) => [`base64url shifted by ${shift}`, Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_'))] as const),
    ['JSON', Buffer.from(escaped)],
    ['JSON (escaped)', Buffer.from(unicode)],
    ['percent-encoded', Buffer.from(encodeURIComponent(secret))],
  ]
}
