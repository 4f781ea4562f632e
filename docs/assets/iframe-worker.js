/* A browser starts no worker for a page that was opened from disk. There, the script of a worker
   runs in a hidden frame instead, which answers as the worker would; the search needs no more. */
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      this.loaded = new Promise((resolve, reject) => {
        const start = () => {
          document.body.append(frame)
          const inside = frame.contentWindow
          inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
          const script = frame.contentDocument.createElement("script")
          script.src = new URL(url, location)
          script.onload = () => resolve(inside)
          script.onerror = reject
          frame.contentDocument.body.append(script)
        }
        if (document.body) start()
        else addEventListener("DOMContentLoaded", start)
      })
    }

    postMessage(data) {
      this.loaded.then(inside => inside.dispatchEvent(new inside.MessageEvent("message", { data })))
    }

    terminate() {}
  }
  window.Worker = window.IFrameWorker
}
