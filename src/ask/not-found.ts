// How a window reports that it does not contain the answer.

/** Comes after the caller's own instructions. */
const RULE =
  'Answer from the text above only. If it does not contain the answer, reply with exactly NOT FOUND and nothing else.'

/** The instructions for each of many windows. */
export function withNotFound(instructions: string | undefined): string {
  return instructions === undefined ? RULE : `${instructions}\n\n${RULE}`
}

/** Whether an answer is that rule's reply, whatever marks a model puts around it. */
export function isNotFound(answer: string): boolean {
  return (
    answer
      .replaceAll(/[\s\p{P}\p{S}]+/gu, ' ')
      .trim()
      .toUpperCase() === 'NOT FOUND'
  )
}
