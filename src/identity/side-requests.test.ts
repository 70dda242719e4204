import { expect, it } from 'vitest'
import { isSideRequest, openWebUiTasks } from './side-requests.ts'

it.each([
  '### Task:\nGenerate a concise title summarizing the chat history.\n### Guidelines:\n- Keep it short',
  '### Task:\r\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.',
  '### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, along with',
  '### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next',
])('recognizes the task prompts of Open WebUI: %s', (text) => {
  expect(isSideRequest(text, openWebUiTasks)).toBe(true)
})

it.each([
  'Who holds the copyright?',
  '### Task:\nRespond to the user query using the provided context, incorporating inline citations',
  'My homework is: ### Task:\nGenerate a concise title',
])('takes everything else as a question: %s', (text) => {
  expect(isSideRequest(text, openWebUiTasks)).toBe(false)
})

it('knows only the beginnings that it is given', () => {
  expect(isSideRequest('Name   this\nchat: …', ['Name this chat'])).toBe(true)
  expect(isSideRequest('### Task:\nGenerate a concise title', ['Name this chat'])).toBe(false)
})
