// Elements without a framework.

/** `<tag>` with properties set, `dataset` and `style` and `aria-*` among them, and children; strings become text. */
export function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (name === "dataset" || name === "style") Object.assign(made[name], value);
        else if (name.startsWith("aria-") || name === "role") made.setAttribute(name, value);
        else made[name] = value;
    }
    made.append(...children);
    return made;
}

/** A style sheet for shadow roots; one object, however many nodes use it. */
export function styles(css) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    return sheet;
}
