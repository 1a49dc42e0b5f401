import { z } from 'zod'
import { logInAnonymously } from '../accounts/anonymous.ts'
import { emailAndPassword } from '../accounts/email-address.ts'
import { logInWithPassword } from '../accounts/email-password.ts'
import { answer, route } from '../http/route.ts'
import { text } from '../http/text.ts'
import { tokenAnswer } from '../tokens/sessions.ts'
import { tokenAnswerShape } from './token-answer.ts'

const device = { device_id: text(64).optional() }

export const loginRoute = route({
  method: 'POST',
  path: '/v1/auth/login',
  summary: 'Log in and open a session',
  bearer: false,
  limit: 'credentials',
  noStore: true,
  body: z.discriminatedUnion('provider', [
    emailAndPassword.extend({ provider: z.literal('email-password'), ...device }),
    z.object({ provider: z.literal('anonymous'), ...device }),
  ]),
  answers: { 200: tokenAnswerShape },
  async handle({ body }, services) {
    if (body.provider === 'anonymous')
      return answer(200, { ...(await tokenAnswer(services, await logInAnonymously(services))), is_new: true })
    const session = await logInWithPassword(services, { ...body, deviceId: body.device_id })
    return answer(200, { ...(await tokenAnswer(services, session)), is_new: false })
  },
})
