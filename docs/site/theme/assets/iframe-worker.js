// Browsers start no worker in a page that is read as a file. There, the script of the search runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.onload = () => this.start(url)
      document.documentElement.append(this.frame)
    }

    start(url) {
      const inner = this.frame.contentWindow
      this.frame.onload = null
      inner.postMessage = data => setTimeout(() => this.onmessage && this.onmessage({ data }))
      const script = inner.document.createElement("script")
      script.src = url
      script.onerror = event => this.onerror && this.onerror(event)
      script.onload = () => {
        const waiting = this.waiting
        this.waiting = null
        waiting.forEach(data => this.postMessage(data))
      }
      inner.document.head.append(script)
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data)
      else setTimeout(() => this.frame.contentWindow.onmessage({ data }))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
