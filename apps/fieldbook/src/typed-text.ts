/** What was typed into a text field of a form; empty for a field that is not there. */
export function typedText(form: FormData, field: string): string {
  const typed = form.get(field)
  return typeof typed === 'string' ? typed : ''
}
