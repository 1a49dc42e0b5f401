import { describe, expect, test } from 'vitest'
import { openPGlite } from '../database/open-pglite.ts'
import { startServer } from '../start-server.ts'
import { temporaryDataDir } from '../testing/temporary-data-dir.ts'
import { TestClient } from '../testing/test-client.ts'
import { PasswordHasher } from './password-hasher.ts'

describe('PW-1', () => {
  test('a password is hashed by Argon2id at OWASP’s floor, with its parameters in the hash', async () => {
    const phc = await new PasswordHasher().hash('correct horse battery')

    expect(phc).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(phc).not.toContain('correct')
    expect(await new PasswordHasher().verify(phc, 'correct horse battery')).toBe(true)
    expect(await new PasswordHasher().verify(phc, 'correct horse batterY')).toBe(false)
  })

  test('a hash of another cost still opens, and is known as not current', async () => {
    const cheap = await new PasswordHasher({ memoryCost: 64, timeCost: 1 }).hash('correct horse battery')
    const today = new PasswordHasher()

    expect(today.isCurrent(cheap)).toBe(false)
    expect(await today.verify(cheap, 'correct horse battery')).toBe(true)
    expect(today.isCurrent(await today.hash('correct horse battery'))).toBe(true)
  })

  test('a log-in renews a hash of another cost', async () => {
    const directory = await temporaryDataDir()
    const account = { email: 'ann@example.org', password: 'correct horse battery' }
    const before = await startServer({ dataDir: directory.path, passwordCost: { memoryCost: 64, timeCost: 1 } })
    await new TestClient(before.url).post('/v1/auth/register', account)
    await before.close()

    const dear = { memoryCost: 4_096, timeCost: 1 }
    const after = await startServer({ dataDir: directory.path, passwordCost: dear })
    const client = new TestClient(after.url)
    expect((await client.post('/v1/auth/login', { provider: 'email-password', ...account })).status).toBe(200)
    await after.close()

    const { db, close } = await openPGlite(directory.path)
    const stored = await db.selectFrom('passwords').select('phc').execute()
    await close()
    directory.remove()
    expect(stored).toEqual([{ phc: expect.stringContaining('$m=4096,t=1,p=1$') as string }])
  })
})
