// What HTML cannot do. Every page works without this file.

/** Replaces the parts of the page that are marked `data-live` by those of a new answer, while the page says so. */
async function follow(seconds) {
  await new Promise(done => setTimeout(done, seconds * 1000));
  const answer = await fetch(location.href, {headers: {accept: 'text/html'}}).catch(() => null);
  if (answer?.redirected) return location.replace(answer.url);
  if (answer?.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const left = page.querySelector('[data-follow]'); // it may be within a part, which leaves its page below
    for (const part of document.querySelectorAll('[data-live]')) {
      const next = page.getElementById(part.id);
      if (next && next.innerHTML !== part.innerHTML) renew(part, next);
    }
    if (!left) return document.querySelector('[data-follow]')?.removeAttribute('data-follow');
  }
  return follow(seconds);
}

/** Replaces a part of the page, and keeps the keyboard's place in it. */
function renew(part, next) {
  const places = 'a, button, input, select, textarea';
  const at = [...part.querySelectorAll(places)].indexOf(document.activeElement);
  part.replaceWith(document.adoptNode(next));
  if (at >= 0) next.querySelectorAll(places)[at]?.focus({preventScroll: true});
}

const followed = document.querySelector('[data-follow]');
if (followed) follow(Number(followed.dataset.follow));

/** Asks before a form is sent that cannot be taken back. */
for (const form of document.querySelectorAll('form[data-ask]'))
  form.addEventListener('submit', event => { if (!confirm(form.dataset.ask)) event.preventDefault(); });

/** Presses a button again after some seconds: the page waits for the answer of a job. */
for (const button of document.querySelectorAll('button[data-again]'))
  setTimeout(() => button.form.requestSubmit(button), Number(button.dataset.again) * 1000);

/** Goes to the field of a mistake that is on this page; opens what hides it. */
for (const button of document.querySelectorAll('button[data-target]'))
  button.addEventListener('click', event => {
    const field = document.getElementById(button.dataset.target);
    if (!field) return;
    event.preventDefault();
    for (let part = field.closest('details'); part; part = part.parentElement.closest('details')) part.open = true;
    field.scrollIntoView({block: 'center'});
    field.focus({preventScroll: true});
  });

/** Warns before work is lost that is on the page only. */
const editor = document.getElementById('editor');
if (editor) {
  let touched = editor.querySelector('.difference') !== null;
  editor.addEventListener('input', () => { touched = true; });
  editor.addEventListener('submit', () => { touched = false; });
  addEventListener('beforeunload', event => { if (touched) event.preventDefault(); });
}
