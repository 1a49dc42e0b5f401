import { z } from 'zod'
import { text } from '../http/text.ts'

/** As the person typed it, for showing; `normaliseEmail` makes what is compared. */
export const emailAddress = text(254).regex(/^[^\s@]+@[^\s@]+\.?[^\s@]*$/)

export const password = text(1024)

/** Addresses that differ in case or Unicode form only are one account. */
export function normaliseEmail(email: string): string {
  return email.trim().normalize('NFKC').toLowerCase()
}

export const emailAndPassword = z.object({ email: emailAddress, password })
