import type { MailToken } from '../accounts/mail-tokens.ts'
import type { Mail } from './mail-port.ts'

interface Facts extends MailToken {
  readonly to: string
  readonly appName: string
  /** Of the app's page; without one the mail shows token and id for the app to ask for. */
  readonly url: string | undefined
  readonly lifeS: number
}

export function confirmationMail(facts: Facts): Mail {
  return {
    to: facts.to,
    subject: `Confirm your e-mail address for ${facts.appName}`,
    text: `Somebody, probably you, made an account at ${facts.appName} with this e-mail address.\n\n${whatToDo(facts, 'To confirm it')}\n\nIf it was not you, do nothing.\n`,
  }
}

export function resetMail(facts: Facts): Mail {
  return {
    to: facts.to,
    subject: `Choose a new password for ${facts.appName}`,
    text: `Somebody, probably you, asked for a new password at ${facts.appName}.\n\n${whatToDo(facts, 'To choose one')}\n\nIf it was not you, do nothing: your password stays as it is.\n`,
  }
}

export function passwordChangedMail({ to, appName }: Pick<Facts, 'to' | 'appName'>): Mail {
  return {
    to,
    subject: `Your password for ${appName} was changed`,
    text: `The password of your account at ${appName} was changed, and every device has to log in again.\n\nIf it was not you, ask for a new password now.\n`,
  }
}

/** Behind `#`: a fragment is sent to no server, so the token is in no log and no Referer. */
function whatToDo({ url, token, tokenId, lifeS }: Facts, goal: string): string {
  const how =
    url === undefined
      ? `enter this in the app:\n\n  token     ${token}\n  token id  ${tokenId}`
      : `open\n\n  ${url}#token=${token}&tokenId=${tokenId}`
  return `${goal}, within ${duration(lifeS)}, ${how}`
}

function duration(seconds: number): string {
  return seconds >= 7200 ? `${Math.round(seconds / 3600)} hours` : `${Math.round(seconds / 60)} minutes`
}
