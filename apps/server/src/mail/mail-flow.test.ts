import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type AccountHooks, FunctionRefusal, type MailFlowRequest } from '../accounts/account-hooks.ts'
import { silentLog } from '../log.ts'
import { startTestServer, type TestServer, testEngines } from '../testing/test-server.ts'
import { FileMail } from './file-mail.ts'
import { Mailer } from './mailer.ts'
import { SmtpMail } from './smtp-mail.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })
/** What is slow on purpose is not what these tests are about. */
const CHEAP = { memoryCost: 64, timeCost: 1 }
const PASSWORD = 'correct horse battery'
const OTHER = 'another long password'
const refusal = (status: number, code: string) => ({ status, body: { code } })
const newEmail = () => `${randomUUID()}@example.org`

describe.each(testEngines)('on %s', (engine) => {
  let server: TestServer
  beforeAll(async () => {
    const emailPassword = {
      confirmation: 'mail' as const,
      confirmUrl: 'https://app.example.org/confirm',
      resetUrl: 'https://app.example.org/reset',
    }
    server = await startTestServer({
      engine,
      passwordCost: CHEAP,
      devRoutes: true,
      config: { accounts: { providers: { 'email-password': emailPassword }, mail: { appName: 'Fieldbook' } } },
    })
  })
  afterAll(() => server.close())

  const post = (path: string, body: object) => server.client.post(`/v1/auth/${path}`, body)
  const logIn = (email: string, password = PASSWORD) => post('login', { provider: 'email-password', email, password })
  const mailsTo = (email: string) => new FileMail(`${server.dataDir}/mail`, Date.now).list(1000).filter(({ to }) => to === email)
  /** The newest mail's token, waiting until `count` are there. */
  async function mailed(email: string, count = 1) {
    const [mail] = await vi.waitFor(() => {
      const mails = mailsTo(email)
      expect(mails).toHaveLength(count)
      return mails
    })
    const [, token = '', token_id = ''] = /#token=([\w-]+)&tokenId=([\w-]+)/.exec(mail?.text ?? '') ?? []
    return { mail, proof: { token, token_id } }
  }
  async function registered(email = newEmail()) {
    expect(await post('register', { email, password: PASSWORD })).toMatchObject({ status: 201 })
    return { email, ...(await mailed(email)) }
  }
  async function confirmed() {
    const account = await registered()
    expect((await post('confirm', account.proof)).status).toBe(200)
    return account
  }

  test('register, confirm by the mailed link, log in; before that only who knows the password learns why not', async () => {
    const { email, mail, proof } = await registered()
    expect(mail?.text).toContain('https://app.example.org/confirm#token=')
    expect(await logIn(email)).toMatchObject(refusal(403, 'email_unconfirmed'))
    expect(await logIn(email, OTHER)).toMatchObject(refusal(401, 'invalid_credentials'))
    expect((await post('confirm', proof)).status).toBe(200)
    expect((await logIn(email)).status).toBe(200)
  })

  test('PW-6: a token is good once, for its own purpose, unmangled, and until a newer mail', async () => {
    const { email, proof } = await registered()
    expect(await post('reset', { ...proof, password: OTHER })).toMatchObject(refusal(400, 'mail_token_invalid'))
    expect(await post('confirm', { ...proof, token: `${proof.token.slice(0, -1)}_` })).toMatchObject(refusal(400, 'mail_token_invalid'))
    expect((await post('confirm/send', { email })).status).toBe(200)
    const newer = await mailed(email, 2)
    expect(await post('confirm', proof)).toMatchObject(refusal(400, 'mail_token_invalid'))
    expect((await post('confirm', newer.proof)).status).toBe(200)
    expect(await post('confirm', newer.proof)).toMatchObject(refusal(400, 'mail_token_invalid'))
  })

  test('PW-6: a reset token lives for half an hour, a confirmation for a day', async () => {
    const { email } = await confirmed()
    await post('reset/send', { email })
    const { proof } = await mailed(email, 2)
    const late = await registered()
    server.pass({ minutes: 31 })
    expect(await post('reset', { ...proof, password: OTHER })).toMatchObject(refusal(400, 'mail_token_invalid'))
    server.pass({ days: 1 })
    expect(await post('confirm', late.proof)).toMatchObject(refusal(400, 'mail_token_invalid'))
  })

  test('a reset ends every session, tells the owner, and lets the new password in', async () => {
    const { email } = await confirmed()
    const session = (await logIn(email)).body as { refresh_token: string }
    expect((await post('reset/send', { email })).status).toBe(200)
    const { proof } = await mailed(email, 2)
    expect(await post('reset', { ...proof, password: 'short' })).toMatchObject(refusal(400, 'weak_password'))
    expect((await post('reset', { ...proof, password: OTHER })).status).toBe(200)
    expect(await server.client.refresh(session.refresh_token)).toMatchObject(refusal(400, 'password_changed'))
    expect((await logIn(email)).status).toBe(401)
    expect((await logIn(email, OTHER)).status).toBe(200)
    expect((await mailed(email, 3)).mail?.subject).toContain('was changed')
  })

  test('PW-5: mails for unknown addresses are answered the same, and nothing is sent', async () => {
    const unknown = newEmail()
    const { email } = await confirmed()
    for (const path of ['confirm/send', 'reset/send']) {
      const [nobody, somebody] = [await post(path, { email: unknown }), await post(path, { email })]
      expect([nobody.status, nobody.body]).toEqual([somebody.status, somebody.body])
    }
    await mailed(email, 2) // the confirmation and the reset; a confirmed address gets no second confirmation
    expect(mailsTo(unknown)).toEqual([])
  })

  test('an address nobody confirmed can be registered again: the first password and mail are void', async () => {
    const { email, proof } = await registered()
    expect((await post('register', { email, password: OTHER })).status).toBe(201)
    expect(await post('confirm', proof)).toMatchObject(refusal(400, 'mail_token_invalid'))
    expect((await post('confirm', (await mailed(email, 2)).proof)).status).toBe(200)
    expect((await logIn(email)).status).toBe(401)
    expect((await logIn(email, OTHER)).status).toBe(200)
    expect(await post('register', { email, password: OTHER })).toMatchObject(refusal(409, 'email_taken'))
  })

  test('an address that was linked by mistake and never confirmed leads whoever reads its mail to an account of their own', async () => {
    const email = newEmail()
    const guest = await server.client.logInAnonymously()
    await server.client.post('/v1/auth/link', { provider: 'email-password', email, password: PASSWORD }, guest.access_token)
    expect((await post('reset/send', { email })).status).toBe(200) // nothing is sent for it
    expect((await post('register', { email, password: OTHER })).status).toBe(201)
    expect((await post('confirm', (await mailed(email, 2)).proof)).status).toBe(200)
    const other = await logIn(email, OTHER)
    expect(other.status).toBe(200)
    expect(other.body).not.toMatchObject({ user_id: guest.user_id })
    expect((await server.client.get('/v1/auth/profile', guest.access_token)).body).toMatchObject({
      identities: [{ provider: 'anonymous' }],
      profile: {},
    })
  })

  test('nobody’s mail box is flooded', async () => {
    const { email } = await confirmed()
    const answers = []
    for (let n = 0; n < 7; n++) answers.push((await post('reset/send', { email })).status)
    expect(answers).toEqual([200, 200, 200, 200, 200, 429, 429])
  })

  test.runIf(engine === 'pglite')('the development mail box shows mails with links, and escapes what people typed', async () => {
    const email = `<b>&"${randomUUID()}@example.org`
    await registered(email)
    const page = await (await fetch(`${server.url}/v1/dev/mail`)).text()
    expect(page).toContain('<a href="https://app.example.org/confirm#token=')
    expect(page).toContain('&#60;b&#62;&#38;&#34;')
    expect(page).not.toContain('<b>')
  })
})

describe('functions in the mail flow', () => {
  const seen: (MailFlowRequest & { readonly args?: readonly unknown[] })[] = []
  const decide = ({ email }: MailFlowRequest) => (email.startsWith('ok') ? 'success' : email.startsWith('later') ? 'pending' : 'fail')
  const accountHooks: AccountHooks = {
    confirm(request) {
      seen.push(request)
      if (request.email.startsWith('throw')) throw new FunctionRefusal('x', 'y')
      return decide(request)
    },
    resetPassword(request, ...args) {
      seen.push({ ...request, args })
      return args[0] === 'the right answer' ? 'success' : decide({ ...request, email: String(args[0]) })
    },
  }
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({
      accountHooks,
      passwordCost: CHEAP,
      config: { accounts: { providers: { 'email-password': { confirmation: 'function' } } } },
    })
  })
  afterAll(() => server.close())
  const post = (path: string, body: object) => server.client.post(`/v1/auth/${path}`, body)
  const logIn = (email: string, password = PASSWORD) => post('login', { provider: 'email-password', email, password })

  test('a confirmation function confirms at once, later by its token, or never; retrying asks it again', async () => {
    const [ok, later, never, broken] = ['ok', 'later', 'no', 'throw'].map((word) => `${word}-${newEmail()}`) as [
      string,
      string,
      string,
      string,
    ]
    for (const email of [ok, later, never, broken]) expect((await post('register', { email, password: PASSWORD })).status).toBe(201)
    await vi.waitFor(async () => expect((await logIn(ok)).status).toBe(200))
    for (const email of [later, never, broken]) expect(await logIn(email)).toMatchObject(refusal(403, 'email_unconfirmed'))
    for (const email of [never, broken, newEmail()])
      expect(await post('confirm/call', { email })).toMatchObject(refusal(400, 'confirmation_failed'))
    expect((await post('confirm/call', { email: later })).status).toBe(200)
    const { token, tokenId } = seen.findLast(({ email }) => email === later) ?? { token: '', tokenId: '' }
    expect((await post('confirm', { token, token_id: tokenId })).status).toBe(200)
    expect((await logIn(later)).status).toBe(200)
    expect(await post('confirm/send', { email: never })).toMatchObject(refusal(403, 'confirmation_off'))
  })

  test('a reset function gets the arguments and decides', async () => {
    const email = `ok-${newEmail()}`
    await post('register', { email, password: PASSWORD })
    await vi.waitFor(async () => expect((await logIn(email)).status).toBe(200))
    const reset = (args: readonly unknown[], address = email) => post('reset/call', { email: address, password: OTHER, arguments: args })
    expect(await reset(['a wrong answer'])).toMatchObject(refusal(400, 'reset_failed'))
    expect(await reset(['the right answer'], newEmail())).toMatchObject(refusal(400, 'reset_failed'))
    expect((await reset(['later'])).status).toBe(200)
    expect((await logIn(email, OTHER)).status).toBe(401)
    const { token, tokenId } = seen.at(-1) ?? { token: '', tokenId: '' }
    expect((await reset(['the right answer'])).status).toBe(200)
    expect((await logIn(email, OTHER)).status).toBe(200)
    expect(await post('reset', { token, token_id: tokenId, password: PASSWORD })).toMatchObject(refusal(400, 'mail_token_invalid')) // replaced by the newer one
  })
})

test('SMTP: speaks to a real server over a socket; an address cannot smuggle a second one', async () => {
  const received: string[] = []
  const smtp = createServer((socket) => speakSmtp(socket, received)).listen(0, '127.0.0.1')
  await once(smtp, 'listening')
  const address = smtp.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const mailer = new Mailer(new SmtpMail(`smtp://127.0.0.1:${port}`, 'App <app@example.org>'), silentLog)
  mailer.send({ to: 'ada@example.org, eve@example.org', subject: 'Hello\r\nBcc: eve@example.org', text: 'one\n.\ntwo' })
  mailer.send({ to: 'ada@example.org', subject: 'Hello', text: 'plain' })
  await mailer.close()
  smtp.close()
  const recipients = received.filter((line) => line.startsWith('RCPT TO'))
  expect(recipients).toContain('RCPT TO:<ada@example.org>')
  expect(recipients.join()).not.toContain('<eve@example.org>')
  expect(received).toContain('Subject: Hello')
  expect(received.filter((line) => line.startsWith('Bcc:'))).toEqual([])
})

/** As much of RFC 5321 as one mail takes. */
function speakSmtp(socket: Socket, received: string[]): void {
  let inData = false
  let rest = ''
  const say = (line: string) => socket.write(`${line}\r\n`)
  say('220 test')
  socket.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      received.push(line)
      if (inData) {
        if (line === '.') {
          inData = false
          say('250 taken')
        }
      } else if (line.startsWith('DATA')) {
        inData = true
        say('354 go on')
      } else if (line.startsWith('QUIT')) {
        say('221 bye')
        socket.end()
      } else say('250 fine')
    }
  })
}
