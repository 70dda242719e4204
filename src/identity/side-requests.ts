// Recognizes the requests that chat apps send beside a message, by how their prompt begins.

/**
 * The task prompts of Open WebUI (`DEFAULT_…_PROMPT_TEMPLATE` in backend/open_webui/config.py; each is sent as one user message, see
 * routers/tasks.py): title, tags, follow-up questions, search queries, image prompt, autocompletion, emoji. Its prompt for questions with
 * retrieved passages begins with `### Task:` too, so that alone is not enough.
 */
export const openWebUiTasks: readonly string[] = [
  '### Task: Generate a concise',
  '### Task: Generate 1-3 broad tags',
  '### Task: Suggest 3-5 relevant follow-up questions',
  '### Task: Analyze the chat history to determine the necessity of generating search queries',
  '### Task: Generate a detailed prompt for am image generation task',
  '### Task: You are an autocompletion system',
  "Your task is to reflect the speaker's likely facial expression",
]

/** Whether the text begins as one of these prompts does. Spaces and line breaks count as one space. */
export function isSideRequest(text: string, beginnings: readonly string[]): boolean {
  const start = flat(text)
  return beginnings.some((beginning) => start.startsWith(flat(beginning)))
}

function flat(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ')
}
