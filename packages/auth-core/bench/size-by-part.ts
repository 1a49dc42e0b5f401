import { fileURLToPath } from 'node:url'
import { brotliCompressSync } from 'node:zlib'
import { build, minifySync } from 'vite'

const entry = fileURLToPath(new URL('../src/index.ts', import.meta.url))

/** What each file adds to the minified bundle, largest first; Brotli bytes in proportion to its rendered code. */
export async function sizeByPart() {
  const { code: whole, modules } = await bundle()
  const brotli = brotliBytes(whole)
  const parts = Object.entries(modules).map(([path, { code }]) => ({
    part: path.replace(/^.*auth-core\/src\//, ''),
    code: withoutComments(code ?? ''),
  }))
  const all = parts.reduce((sum, { code }) => sum + code.length, 0)
  const rows = parts
    .filter(({ code }) => code.length > 0)
    .sort((a, b) => b.code.length - a.code.length)
    .map(({ part, code }) => ({
      part,
      '%': Number(((100 * code.length) / all).toFixed(1)),
      'Brotli, bytes': Math.round((brotli * code.length) / all),
    }))
  const wordless =
    brotli - brotliBytes(whole.replaceAll(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, (text) => (text.split(' ').length > 4 ? '""' : text)))
  return [
    ...rows,
    { part: 'of these: sentences of errors', '%': Number(((100 * wordless) / brotli).toFixed(1)), 'Brotli, bytes': wordless },
    { part: 'whole', '%': 100, 'Brotli, bytes': brotli },
  ]
}

async function bundle() {
  const built = await build({
    configFile: false,
    logLevel: 'silent',
    build: { write: false, minify: false, lib: { entry, formats: ['es'] }, rollupOptions: { external: [/^rxjs/] } },
  })
  const [first] = Array.isArray(built) ? built : [built]
  const chunk = first && 'output' in first ? first.output[0] : undefined
  if (chunk?.type !== 'chunk') throw new Error('The bundler made no chunk.')
  return chunk
}

/** Of the minified module (a library build of Vite leaves white space in). */
function brotliBytes(code: string): number {
  return brotliCompressSync(minifySync('bundle.js', code, { module: true }).code).byteLength
}

function withoutComments(code: string): string {
  return code
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/^\s*\/\/.*$/gm, '')
    .replaceAll(/^\s+/gm, '')
}
