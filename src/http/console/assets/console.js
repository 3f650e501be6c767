// What the pages of the console do beside htmx. Every page works without it.
'use strict';

// Asks for new figures only while somebody can see them: elements with `data-poll` get the event
// `poll`, which their `hx-trigger` names, every so many seconds.
setInterval(() => {
  if (document.hidden) return;
  const now = Date.now();
  for (const element of document.querySelectorAll('[data-poll]')) {
    const due = Number(element.dataset.due ?? 0);
    if (due === 0) {
      element.dataset.due = String(now + 1000 * Number(element.dataset.poll));
    } else if (now >= due) {
      element.dataset.due = String(now + 1000 * Number(element.dataset.poll));
      element.dispatchEvent(new Event('poll'));
    }
  }
}, 500);

// Copies a text. Browsers offer the clipboard to pages over TLS alone, so there is another way.
function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'hidden';
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  return copied ? Promise.resolve() : Promise.reject(new Error('not copied'));
}

document.addEventListener('click', (event) => {
  const copier = event.target.closest('[data-copy]');
  if (copier) {
    const source = document.getElementById(copier.dataset.copy);
    const label = copier.textContent;
    const tell = (text) => {
      copier.textContent = text;
      setTimeout(() => { copier.textContent = label; }, 1500);
    };
    copy(source.textContent).then(() => tell('Copied'), () => tell('Select and copy by hand'));
  }
  if (event.target.closest('[data-back]') && history.length > 1) {
    event.preventDefault();
    history.back();
  }
});

// A form that changes something is sent once, however often its button is pressed. Who comes back to the
// page may send it again.
const sent = new WeakSet();
document.addEventListener('submit', (event) => {
  if (event.target.method !== 'post') return;
  if (sent.has(event.target)) event.preventDefault();
  sent.add(event.target);
});
window.addEventListener('pageshow', (event) => {
  if (event.persisted) document.querySelectorAll('form').forEach((form) => sent.delete(form));
});

// What was just done is said once: the address forgets it, so that the page does not say it again when
// it is loaded again, kept or sent to somebody.
const address = new URL(location.href);
if (address.searchParams.has('done')) {
  for (const said of ['done', 'undo', 'with']) address.searchParams.delete(said);
  history.replaceState(history.state, '', address);
}

// The search field, from anywhere but a field.
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches('input, textarea, select')) return;
  const field = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
  if (field) {
    event.preventDefault();
    field.focus();
    field.select();
  }
});
