/** A code of an error union, with what its doc comment says. */
export interface DocumentedCode {
  readonly code: string
  readonly meaning: string
}

/**
 * The members of a union of string literals, each with the doc comment above it.
 *
 * @throws {Error} if there is no such union, or a member has no comment: a code that nobody explains helps nobody
 */
export function documentedCodes(source: string, union: string): readonly DocumentedCode[] {
  const body = new RegExp(`export type ${union} =\\n((?:\\s+(?:/\\*\\*.*\\*/|\\| '[^']+')\\n)+)`).exec(source)?.[1]
  if (body === undefined) throw new Error(`There is no documented union ${union}.`)
  const codes = [...body.matchAll(/(?:\/\*\*\s*(.*?)\s*\*\/\n\s*)?\| '([^']+)'/g)]
  return codes.map(([, meaning, code = '']) => {
    if (meaning === undefined) throw new Error(`${union}: '${code}' has no comment.`)
    return { code, meaning }
  })
}

/** The section of one error class. The first sentence of a comment is what the code means, the rest what an app should do. */
export function errorSection(title: string, codes: readonly DocumentedCode[]): string {
  const rows = codes.map(({ code, meaning }) => {
    const [, what = meaning, then = ''] = /^(.*?[.!?])(?:\s+(.*))?$/.exec(meaning) ?? []
    return `| \`${code}\` | ${cell(what)} | ${cell(then)} |`
  })
  return [`## ${title}`, '', '| code | meaning | what the app should do |', '| --- | --- | --- |', ...rows, ''].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
