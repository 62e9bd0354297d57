/** A file as a page gets it from a person: out of a drop event. Without a page (Node) it is handed over as it is. */

interface DropEvent {
  readonly dataTransfer: { readonly files: ArrayLike<unknown> };
  preventDefault(): void;
}

/** What of a page is used here; no DOM types are needed. */
interface Page {
  readonly document?: {
    addEventListener(type: 'drop', listener: (event: DropEvent) => void, options: { once: boolean }): void;
    readonly body: { dispatchEvent(event: unknown): void };
  };
  readonly DataTransfer: new () => { readonly items: { add(file: unknown): void } };
  readonly DragEvent: new (type: 'drop', init: { bubbles: boolean; dataTransfer: unknown }) => unknown;
}

export function dropped<File>(file: File): File {
  const page = globalThis as unknown as Page;
  if (page.document === undefined) return file;
  let received: unknown;
  const onDrop = (event: DropEvent): void => {
    event.preventDefault();
    received = event.dataTransfer.files[0];
  };
  page.document.addEventListener('drop', onDrop, { once: true });
  const dataTransfer = new page.DataTransfer();
  dataTransfer.items.add(file);
  page.document.body.dispatchEvent(new page.DragEvent('drop', { bubbles: true, dataTransfer }));
  if (received === undefined) throw new Error('the drop event brought no file');
  return received as File;
}
