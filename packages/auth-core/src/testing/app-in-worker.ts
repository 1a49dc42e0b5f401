import { createApp } from '../app.ts'
import { Credentials } from '../credentials.ts'
import { httpBackend } from '../http/http-backend.ts'
import { realWorld } from '../world/index.ts'

/** Runs auth-core in a worker, where there is no page: logs in once and says what it saw. */
self.addEventListener('message', ({ data }: MessageEvent<{ readonly grant: unknown }>) => {
  void run(data.grant).then(
    (seen) => self.postMessage(seen),
    (error: unknown) => self.postMessage({ error: String(error) }),
  )
})

async function run(grant: unknown): Promise<unknown> {
  const world = realWorld()
  const fetch = async () => Response.json(grant)
  const app = createApp({ id: 'worker', backend: httpBackend('https://api.example.org'), world: { ...world, fetch } })
  const user = await app.logIn(Credentials.apiKey('key'))
  const token = await user.getAccessToken()
  await app.close()
  return { hasPage: 'document' in globalThis, acrossTabs: world.locks.acrossTabs, visible: world.lifecycle.visible, id: user.id, token }
}
