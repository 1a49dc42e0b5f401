import { createTransport, type Transporter } from 'nodemailer'
import type { Mail, MailPort } from './mail-port.ts'

const TIMEOUT_MS = 15_000

/** Hands mails to an SMTP server. Certificates are checked; plain `smtp:` is upgraded by STARTTLS wherever the server offers it. */
export class SmtpMail implements MailPort {
  readonly #transport: Transporter
  readonly #from: string

  constructor(smtpUrl: string, from: string) {
    this.#from = from
    this.#transport = createTransport({
      url: smtpUrl,
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    })
  }

  async send({ to, subject, text }: Mail): Promise<void> {
    // As an object, so that no address can hold a second one.
    await this.#transport.sendMail({ from: this.#from, to: { name: '', address: to }, subject, text })
  }

  close(): void {
    this.#transport.close()
  }
}
