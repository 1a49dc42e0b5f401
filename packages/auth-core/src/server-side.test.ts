import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const here = fileURLToPath(new URL('..', import.meta.url))

/** Runs a module in a Node process of its own; it has to end by itself. */
async function run(module: string): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', module],
    { cwd: here, timeout: 20_000 },
  )
  return stdout.trim()
}

test('on a server importing and createApp make no request, and nothing keeps the process alive', async () => {
  const said = await run(`
    globalThis.fetch = () => { console.log('a request'); return new Promise(() => {}) }
    const { createApp } = await import('./src/index.ts')
    const { httpBackend } = await import('./src/http/index.ts')
    const app = createApp({ id: 'ssr', backend: httpBackend('https://api.example.org') })
    await app.ready
    console.log(app.authState.kind)
  `)

  expect(said).toBe('signed-out')
})

test('a signed-in user keeps a process alive no longer than its work', async () => {
  const said = await run(`
    const { createApp, Credentials } = await import('./src/index.ts')
    const { httpBackend } = await import('./src/http/index.ts')
    globalThis.fetch = async () => Response.json({ token_type: 'Bearer', access_token: 'a', expires_in: 900, refresh_token: 'r', user_id: 'u1', identities: [] })
    const app = createApp({ id: 'job', backend: httpBackend('https://api.example.org') })
    const user = await app.logIn(Credentials.apiKey('key'))
    console.log(await user.getAccessToken())
  `)

  expect(said).toBe('a')
})
