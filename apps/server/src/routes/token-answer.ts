import { z } from 'zod'
import { whoamiShape } from '../accounts/whoami.ts'

/** The token answer, for the OpenAPI document; `tokens/sessions.ts` makes it. */
export const tokenAnswerShape = z.object({
  token_type: z.literal('Bearer'),
  access_token: z.string(),
  expires_in: z.int(),
  refresh_token: z.string(),
  session_id: z.string(),
  user_id: z.string(),
  device_id: z.string(),
  session_idle_ends_at_ms: z.int(),
  session_ends_at_ms: z.int().nullable(),
  server_time_ms: z.int(),
  revoke_handle: z.string(),
  is_new: z.boolean().optional(),
  /** At log-in, which saves clients a request. */
  ...whoamiShape.omit({ user_id: true }).partial().shape,
})
