import { dictionary } from '@zxcvbn-ts/language-common'
import { ApiError } from '../http/api-error.ts'
import type { Services } from '../services.ts'
import { within } from './within.ts'

/** Somebody waits for this with a form in front of them. */
const BREACH_CHECK_S = 3
const commonPasswords = new Set(dictionary['passwords-common'].map((password) => String(password).toLowerCase()))

/**
 * What a new password must be: long, and not one that guessers try first (PW-3, PW-4). No rule about kinds of characters;
 * nothing is cut off or folded before it is hashed.
 *
 * @throws {ApiError} `weak_password`, saying what to do
 */
export async function checkNewPassword(services: Services, password: string, email: string): Promise<void> {
  const rules = services.accounts.config.providers['email-password']
  const minLength = rules ? rules.minLength : 15
  if (Array.from(password).length < minLength)
    throw weak(`The password is too short: at least ${minLength} characters. Several words make a good one.`)
  if (isGuessable(password, email)) throw weak('This password is among the first that guessers try. Choose another one.')
  const isBreached = await knownFromLeaks(services, password)
  if (isBreached) throw weak('This password has been found in a leak of another service. Choose another one.')
}

/** The app's hook may ask a service that is away; that is no reason to let nobody register. */
async function knownFromLeaks({ accounts, log }: Services, password: string): Promise<boolean> {
  try {
    return (await within(BREACH_CHECK_S, () => accounts.hooks.isBreached?.(password))) ?? false
  } catch (error) {
    log.error('breach-check-failed', error)
    return false
  }
}

/** A common password, also when it was only repeated to be long enough, or the person's own address. */
export function isGuessable(password: string, email: string): boolean {
  const folded = password.normalize('NFKC').toLowerCase()
  const [account = ''] = email.toLowerCase().split('@')
  const [, unit = folded] = /^(.+?)\1+$/su.exec(folded) ?? []
  return commonPasswords.has(folded) || commonPasswords.has(unit) || unit.length < 4 || folded === email.toLowerCase() || unit === account
}

const weak = (message: string) => new ApiError(400, 'weak_password', message)
