// Questions to windows: sends the form, and inserts the answers as they come. The server renders them.

const byId = (id) => document.getElementById(id)
const [choice, form, stop, start] = ['ask-choice', 'ask', 'ask-stop', 'ask-start'].map(byId)
const [state, errors, whole, answers, receipt] = [
  'ask-status',
  'ask-error',
  'ask-whole',
  'ask-answers',
  'ask-receipt',
].map(byId)

/** Aborts the question that is being answered; undefined if there is none. */
let running

form.addEventListener('submit', (event) => {
  event.preventDefault()
  if (running === undefined) void run()
})
form.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
})
stop.addEventListener('click', () => running?.abort())
// Enter must not load the page again.
choice.addEventListener('submit', (event) => event.preventDefault())
// Writing into a field chooses the way that it belongs to. Before htmx sends the form.
choice.addEventListener(
  'input',
  ({ target }) => {
    const way = target.closest('.way')?.querySelector('input[type=radio]')
    if (way && way !== target) way.checked = true
  },
  { capture: true },
)

async function run() {
  running = new AbortController()
  begin()
  const progress = { done: 0, windows: 0, isWhole: false }
  try {
    const body = new URLSearchParams([...new FormData(choice), ...new FormData(form)])
    const response = await fetch(form.action, {
      method: 'POST',
      body,
      signal: running.signal,
      headers: { 'hx-request': 'true' },
    })
    if (response.headers.has('hx-redirect')) location.assign(response.headers.get('hx-redirect'))
    else if (!response.ok) end('The question was refused.', await response.text())
    else {
      for await (const line of linesOf(response.body)) show(line, progress)
      end(progress.isWhole ? `Done: ${count(progress)}.` : `The answers ended early: ${count(progress)}.`)
    }
  } catch {
    end(
      running.signal.aborted
        ? `Stopped: ${count(progress)}.`
        : `cwm does not answer any more: ${count(progress)}. Ask again.`,
    )
  } finally {
    running = undefined
    stop.disabled = true
    start.disabled = false
  }
}

function begin() {
  const hadFocus = document.activeElement === start
  for (const element of [errors, whole, answers, receipt]) element.replaceChildren()
  state.textContent = 'Asking…'
  stop.disabled = false
  // A disabled button loses the focus.
  if (hadFocus) stop.focus()
  start.disabled = true
}

function end(words, html) {
  state.textContent = words
  if (html !== undefined) errors.innerHTML = html
  if (document.activeElement === stop) {
    start.disabled = false
    start.focus()
  }
}

async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop()
    for (const line of lines) if (line !== '') yield JSON.parse(line)
  }
}

function show({ event, html, text, windows }, progress) {
  if (event === 'started') progress.windows = windows
  if (event === 'window' || event === 'window_error') {
    progress.done++
    answers.insertAdjacentHTML('beforeend', html)
  }
  if (event === 'text') addText(text)
  if (event === 'reduction' || event === 'reduction_error') whole.innerHTML = html
  if (event === 'receipt') {
    progress.isWhole = true
    receipt.innerHTML = html
  }
  if (event === 'error') errors.innerHTML = html
  state.textContent = `Asking… ${count(progress)}`
}

/** Of the one answer, while it is written. */
function addText(text) {
  const words =
    whole.querySelector('.writing') ?? Object.assign(document.createElement('p'), { className: 'words writing' })
  words.append(text)
  if (!words.isConnected) whole.replaceChildren(words)
}

function count({ done, windows }) {
  return `${done} of ${windows} ${windows === 1 ? 'window' : 'windows'}`
}
