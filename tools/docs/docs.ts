import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { documentedCodes, errorSection } from './error-table.ts'

const root = new URL('../../', import.meta.url)

/** Unions whose codes apps meet, in the order of the page. */
const UNIONS = [
  { title: '`AuthError` of `@nightlatch/auth-core`', path: 'packages/auth-core/src/errors.ts', union: 'AuthErrorCode' },
  { title: '`SyncError` of `@nightlatch/sync-guard`', path: 'packages/sync-guard/src/sync-error.ts', union: 'SyncErrorCode' },
]

const HEAD = `# Errors

Every rejection of a public call is an error with a stable \`code\`, a sentence for people and, where there is one, a \`cause\`. Decide by \`code\`.
No error holds a token, a password or a document.

This page is made from the comments at the codes: \`node tools/docs/docs.ts\`.
`

/** The page \`docs/errors.md\` as it should be. */
export async function errorsPage(): Promise<string> {
  const sections = UNIONS.map(async ({ title, path, union }) => {
    const source = await readFile(new URL(path, root), 'utf8')
    return errorSection(title, documentedCodes(source, union))
  })
  return [HEAD, ...(await Promise.all(sections))].join('\n')
}

export const errorsPageUrl = new URL('docs/errors.md', root)

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(errorsPageUrl, await errorsPage())
