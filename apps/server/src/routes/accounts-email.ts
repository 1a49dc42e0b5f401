import { z } from 'zod'
import { emailAddress, emailAndPassword, password } from '../accounts/email-address.ts'
import {
  confirm,
  emailSettings,
  preparePassword,
  resendConfirmation,
  reset,
  resetByFunction,
  retryConfirmFunction,
  sendResetMail,
} from '../accounts/email-flow.ts'
import { once, onceInPieces } from '../accounts/idempotency.ts'
import { answer, type Route, route } from '../http/route.ts'
import { text } from '../http/text.ts'
import { originOf } from './caller.ts'

const open = { method: 'POST', bearer: false, limit: 'credentials', noStore: true, answers: { 200: z.object({}) } } as const
const mailToken = { token: text(128), token_id: text(64) }
const account = z.object({ email: emailAddress })

const confirmRoute = route({
  ...open,
  path: '/v1/auth/confirm',
  summary: 'Confirm an e-mail address with what was mailed',
  body: z.object(mailToken),
  async handle({ body, request, url }, services) {
    return once(
      services,
      { request, body, caller: url.pathname },
      async () => emailSettings(services),
      async (tx) => {
        await confirm(tx, services, { token: body.token, tokenId: body.token_id })
        return { status: 200, body: {} }
      },
    )
  },
})

const sendConfirmationRoute = route({
  ...open,
  path: '/v1/auth/confirm/send',
  summary: 'Mail the confirmation again; answers the same whether there is an account or not',
  body: account,
  async handle(exchange, services) {
    await resendConfirmation(services, exchange.body.email, originOf(exchange, services))
    return answer(200, {})
  },
})

const callConfirmationRoute = route({
  ...open,
  path: '/v1/auth/confirm/call',
  summary: 'Ask the server’s own confirmation function again',
  body: account,
  async handle(exchange, services) {
    await retryConfirmFunction(services, exchange.body.email, originOf(exchange, services))
    return answer(200, {})
  },
})

const sendResetRoute = route({
  ...open,
  path: '/v1/auth/reset/send',
  summary: 'Mail a way to choose a new password; answers the same whether there is an account or not',
  body: account,
  async handle(exchange, services) {
    await sendResetMail(services, exchange.body.email, originOf(exchange, services))
    return answer(200, {})
  },
})

const resetRoute = route({
  ...open,
  path: '/v1/auth/reset',
  summary: 'Choose a new password with what was mailed; every session ends',
  body: z.object({ ...mailToken, password }),
  async handle({ body, request, url }, services) {
    return once(
      services,
      { request, body, caller: url.pathname },
      () => preparePassword(services, { email: '', password: body.password }),
      (tx, phc) => reset(tx, services, { token: body.token, tokenId: body.token_id }, phc),
    )
  },
})

const callResetRoute = route({
  ...open,
  path: '/v1/auth/reset/call',
  summary: 'Choose a new password by the server’s own reset function',
  body: emailAndPassword.extend({ arguments: z.array(z.unknown()).max(100).default([]) }),
  async handle(exchange, services) {
    const { body, request, url } = exchange
    return onceInPieces(services, { request, body, caller: url.pathname }, () =>
      resetByFunction(services, body, body.arguments, originOf(exchange, services)),
    )
  },
})

export const emailRoutes: readonly Route[] = [
  confirmRoute,
  sendConfirmationRoute,
  callConfirmationRoute,
  sendResetRoute,
  resetRoute,
  callResetRoute,
]
