// Elements made of text alone: nothing that a service or a file says can become markup.

export function element(tag, properties = {}, ...content) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...content);
  return made;
}

/** Fills a <dl> with pairs of term and value. */
export function facts(root, pairs) {
  root.replaceChildren(...pairs.map(([term, value]) => element('div', {},
    element('dt', {}, term), element('dd', {}, value))));
}

/**
 * Fills a list, or says in `none` that it is empty. Its content is replaced only where it says something new, so that
 * focus and reading are not disturbed; what has a `data-key` keeps the focus.
 */
export function list(root, items, none = 'None.') {
  const fresh = items.length ? items : [element('li', { className: 'muted' }, none)];
  const markup = fresh.map((item) => item.outerHTML).join('');
  if (root.dataset.shown === markup) return;
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  root.dataset.shown = markup;
  root.replaceChildren(...fresh);
  if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}
