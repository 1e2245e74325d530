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
