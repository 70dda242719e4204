// Exact times, in the reader's zone, with a 24-hour clock: one form on all pages.

/** For example `14:03:22`. */
export const clock = (date) => date.toTimeString().slice(0, 8)

/** For example `2026-11-30 14:03:22`. */
export function dateAndClock(date) {
  const two = (number) => String(number).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(date)}`
}

/** Ages get the exact time on hover. */
export function watchTimes() {
  const show = () => {
    for (const element of document.querySelectorAll('time[datetime]:not([title])')) {
      element.title = dateAndClock(new Date(element.dateTime))
    }
  }
  show()
  document.body.addEventListener('htmx:afterSwap', show)
}
