// What the pages of the documentation do beyond links: search, copy buttons, the menu on a phone. Without it everything can be read.

document.documentElement.classList.add('scripted')
document.addEventListener('DOMContentLoaded', () => {
  prepareMenu()
  prepareOutline()
  prepareCode()
  prepareScrolling()
  prepareSearch()
})

const byId = (id) => document.getElementById(id)

function prepareMenu() {
  const [menu, pages] = [byId('menu'), byId('pages')]
  menu.addEventListener('click', () => {
    menu.setAttribute('aria-expanded', String(pages.classList.toggle('open')))
  })
  const current = pages.querySelector('[aria-current]')
  if (current !== null) pages.scrollTop = current.offsetTop - pages.offsetTop - pages.clientHeight / 2
}

/** Open beside the page; closed above it. */
function prepareOutline() {
  const outline = document.querySelector('#outline details')
  const wide = matchMedia('(min-width: 75.01rem)')
  if (outline === null) return
  const adapt = () => {
    outline.open = wide.matches
  }
  adapt()
  wide.addEventListener('change', adapt)
}

function prepareCode() {
  for (const block of document.querySelectorAll('.code')) {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'copy'
    button.textContent = 'Copy'
    button.addEventListener('click', async () => {
      button.textContent = (await copy(commandsOf(block.querySelector('pre')))) ? 'Copied' : 'Press Ctrl+C'
      setTimeout(() => {
        button.textContent = 'Copy'
      }, 2_000)
    })
    block.append(button)
  }
}

/** Without the prompts of a console. */
function commandsOf(pre) {
  const text = pre.textContent
  return pre.dataset.language === 'console' ? text.replaceAll(/^\$ /gm, '') : text
}

/** Outside of TLS and localhost, browsers have no clipboard API, but copy a selection. */
async function copy(text) {
  if (navigator.clipboard !== undefined) {
    return await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    )
  }
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'unseen'
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}

/** What scrolls can be reached by keyboard; what does not is no stop on the way. */
function prepareScrolling() {
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0
      else target.removeAttribute('tabindex')
    }
  })
  for (const element of document.querySelectorAll('.scroll')) observer.observe(element)
}

const MAX_RESULTS = 20
const EXCERPT_BEFORE = 60
const EXCERPT_CHARACTERS = 200

function prepareSearch() {
  const [form, input, results] = [byId('search'), byId('query'), byId('results')]
  const [status, list] = [results.querySelector('[role=status]'), results.querySelector('ol')]
  let index
  const load = () => {
    index ??= fetch(document.querySelector('meta[name=cwm-docs-index]').content)
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
      .catch(() => {
        index = undefined
      })
    return index
  }
  const close = () => {
    results.hidden = true
  }
  const update = async () => {
    const typed = input.value
    const terms = termsOf(typed)
    if (terms.length === 0) return close()
    const loaded = await load()
    // Somebody went on typing meanwhile.
    if (input.value !== typed) return
    const found = loaded === undefined ? [] : find(loaded, terms)
    status.textContent = loaded === undefined ? 'The search index did not load.' : countOf(found.length)
    list.replaceChildren(...found.slice(0, MAX_RESULTS).map((one) => itemOf(one, terms)))
    results.hidden = false
  }
  form.hidden = false
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    list.querySelector('a')?.click()
  })
  input.addEventListener('focus', load)
  input.addEventListener('input', update)
  // A link to a heading of this page loads nothing, so nothing else would close the list.
  list.addEventListener('click', close)
  document.addEventListener('keydown', (event) => onKey(event, { input, results, list, close }))
  document.addEventListener('click', (event) => {
    if (!results.contains(event.target) && event.target !== input) close()
  })
}

function onKey(event, { input, results, list, close }) {
  const { key, target } = event
  if (key === '/' && !isTyping(target) && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault()
    input.focus()
    input.select()
  } else if (results.hidden) return
  else if (key === 'Escape') {
    close()
    input.focus()
  } else if (key === 'ArrowDown' || key === 'ArrowUp') {
    const stops = [input, ...list.querySelectorAll('a')]
    const at = stops.indexOf(target)
    if (at === -1) return
    event.preventDefault()
    stops[Math.min(Math.max(at + (key === 'ArrowDown' ? 1 : -1), 0), stops.length - 1)].focus()
  }
}

const isTyping = (target) => target instanceof Element && target.matches('input, textarea, select')
const termsOf = (text) =>
  text
    .toLowerCase()
    .split(/\s+/)
    .filter((term) => term !== '')

function countOf(count) {
  if (count === 0) return 'Nothing found'
  return count > MAX_RESULTS ? `The best ${MAX_RESULTS} of ${count}` : `${count} found`
}

/** Sections that contain all terms, the best first. */
function find({ pages, sections }, terms) {
  const found = []
  for (const [page, heading, anchor, text] of sections) {
    const [address, title] = pages[page]
    const lower = { title: title.toLowerCase(), heading: heading.toLowerCase(), text: text.toLowerCase() }
    let score = 0
    for (const term of terms) {
      const here = scoreOf(term, lower)
      score = here === 0 ? Number.NEGATIVE_INFINITY : score + here
    }
    if (score > 0) found.push({ score, address, title, heading, anchor, text })
  }
  return found.sort((a, b) => b.score - a.score)
}

function scoreOf(term, { title, heading, text }) {
  const inHeading = heading === term ? 40 : heading.includes(term) ? 20 : 0
  const times = text.split(term).length - 1
  // Only the page's title has it: another section of the page is a better answer.
  const inTitle = title.includes(term) ? 3 : 0
  return inHeading + inTitle + Math.min(times, 8)
}

function itemOf({ address, title, heading, anchor, text }, terms) {
  const item = document.createElement('li')
  const link = document.createElement('a')
  link.href = anchor === '' ? address : `${address}#${anchor}`
  const place = document.createElement('span')
  place.className = 'place'
  place.textContent = heading === '' || heading === title ? title : `${title} › ${heading}`
  const excerpt = document.createElement('span')
  excerpt.className = 'excerpt'
  excerpt.append(...excerptOf(text, terms))
  link.append(place, excerpt)
  item.append(link)
  return item
}

/** Text around the first term, with all terms marked. */
function excerptOf(text, terms) {
  const lower = text.toLowerCase()
  const first = Math.min(...terms.map((term) => lower.indexOf(term)).filter((at) => at !== -1), lower.length)
  const start = first === lower.length ? 0 : Math.max(0, first - EXCERPT_BEFORE)
  const shown = text.slice(start, start + EXCERPT_CHARACTERS)
  const pattern = terms.map((term) => term.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')
  const parts = shown.split(new RegExp(`(${pattern})`, 'i')).map((part, at) => {
    if (at % 2 === 0) return part
    const mark = document.createElement('mark')
    mark.textContent = part
    return mark
  })
  return [start > 0 ? '… ' : '', ...parts, start + EXCERPT_CHARACTERS < text.length ? ' …' : '']
}
