import { z } from 'zod'
import { emailAndPassword } from '../accounts/email-address.ts'
import { preparePassword, register } from '../accounts/email-flow.ts'
import { once } from '../accounts/idempotency.ts'
import { route } from '../http/route.ts'

export const registerRoute = route({
  method: 'POST',
  path: '/v1/auth/register',
  summary: 'Make an e-mail and password account',
  bearer: false,
  limit: 'credentials',
  body: emailAndPassword,
  answers: { 201: z.object({}) },
  async handle({ body, request, url }, services) {
    return once(
      services,
      { request, body, caller: url.pathname },
      () => preparePassword(services, body),
      (tx, phc) => register(tx, services, body, phc),
    )
  },
})
