import { z } from 'zod'
import { emailAndPassword } from '../accounts/email-address.ts'
import { register } from '../accounts/email-password.ts'
import { answer, route } from '../http/route.ts'

export const registerRoute = route({
  method: 'POST',
  path: '/v1/auth/register',
  summary: 'Make an e-mail and password account',
  bearer: false,
  limit: 'credentials',
  body: emailAndPassword,
  answers: { 201: z.object({}) },
  async handle({ body }, services) {
    await register(services, body.email, body.password)
    return answer(201, {})
  },
})
