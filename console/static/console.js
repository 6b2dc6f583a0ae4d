// What HTML cannot do. Every page works without this file.

/** Replaces the parts of the page that are marked `data-live` by those of a new answer, while the page says so. */
async function follow(seconds) {
  await new Promise(done => setTimeout(done, seconds * 1000));
  const answer = await fetch(location.href, {headers: {accept: 'text/html'}}).catch(() => null);
  if (answer?.redirected) return location.replace(answer.url);
  if ([401, 403, 404].includes(answer?.status)) return location.reload(); // it says why there is nothing to see any more
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

const PLACES = 'a, button, input, select, textarea';

/** What a link or a field is, wherever it stands. */
function identity(place) {
  const said = place.getAttribute('aria-label') ?? place.textContent.trim();
  const to = place.getAttribute('href') ?? place.form?.getAttribute('action');
  return JSON.stringify([place.localName, to, place.getAttribute('name'), place.getAttribute('value'), said]);
}

/** Replaces a part of the page, and keeps the keyboard's place in it: on the same link or field, or on none. */
function renew(part, next) {
  const place = part.contains(document.activeElement) ? document.activeElement : null;
  const alike = of => [...of.querySelectorAll(PLACES)].filter(each => identity(each) === identity(place));
  const at = place?.matches(PLACES) ? alike(part).indexOf(place) : -1;
  part.replaceWith(document.adoptNode(next));
  if (!place) return;
  next.tabIndex = -1; // where the place is gone, the key Tab goes on from the part
  (at < 0 ? next : alike(next)[at] ?? next).focus({preventScroll: true});
}

const followed = document.querySelector('[data-follow]');
if (followed) follow(Number(followed.dataset.follow));

const PATIENCE = 5000; // milliseconds in which an answer is waited for, before a form can be sent again
let sentAt = -Infinity;

/** Sends a form once, however often its button is clicked before the answer comes. */
document.addEventListener('submit', event => {
  if (event.defaultPrevented) return;
  if (event.timeStamp - sentAt < PATIENCE) event.preventDefault();
  else sentAt = event.timeStamp;
});

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

/** Sends a file to its address in storage, and says how far it is. */
function sendTo(address, file, said) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open('PUT', address.url);
    for (const [name, value] of Object.entries(address.headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = event => { said.textContent = `Sending the file: ${Math.floor(100 * event.loaded / file.size)} %`; };
    request.onload = () => request.status === 201 ? done() : fail(new Error(`The storage answered ${request.status}.`));
    request.onerror = () => fail(new Error('The storage cannot be reached from here.'));
    request.send(file);
  });
}

/** Sends a file straight to storage, where the page has a path that gives addresses; the form then names what was sent. */
async function sendFile(field, named, said) {
  const file = field.files[0];
  const about = JSON.stringify({name: file.name, size: file.size});
  const headers = {'content-type': 'application/json'};
  const answer = await fetch(field.dataset.address, {method: 'POST', headers, body: about});
  const given = await answer.json();
  if (answer.status === 413) throw Object.assign(new Error(given.detail), {final: true});
  if (!answer.ok) throw new Error(given.detail);
  await sendTo(given, file, said);
  named.value = given.upload;
}

for (const field of document.querySelectorAll('input[type=file][data-address]')) {
  const named = Object.assign(document.createElement('input'), {type: 'hidden', name: '_upload'});
  const said = Object.assign(document.createElement('p'), {className: 'help', role: 'status'});
  (field.closest('.field') ?? field).append(named, said);
  let goesThrough = false, isBusy = false;
  field.addEventListener('change', () => { named.value = said.textContent = ''; goesThrough = false; });
  field.form.addEventListener('submit', async event => {
    const button = event.submitter, file = field.files[0];
    if (!button?.hasAttribute('data-sends') || named.value) { // the file is not needed, or is in storage
      field.disabled = true;
      setTimeout(() => { field.disabled = false; });
      return;
    }
    if (!file || goesThrough) return;
    event.preventDefault();
    if (isBusy) return;
    isBusy = true;
    try {
      await sendFile(field, named, said);
    } catch (error) { // a file that is small enough goes through the app
      goesThrough = !error.final && file.size <= Number(field.dataset.most);
      said.textContent = error.message;
    }
    isBusy = false;
    if (named.value || goesThrough) field.form.requestSubmit(button);
  });
}
