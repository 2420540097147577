import ArgumentParser
import Model
import Terminal

/// `omnijet import`.
struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take over a checkpoint of the original OmniJet-alpha (Lightning).",
        discussion: """
            EXAMPLE
              omnijet import epoch=98.ckpt backbone.safetensors
            """)

    @Argument(help: "The checkpoint: a .ckpt file.")
    var checkpoint: String
    @Argument(help: "The safetensors file to write.")
    var output: String
    @Flag(name: .shortAndLong, help: "Print nothing.")
    var quiet = false

    func run() throws {
        let (made, report) = try Checkpoint.importing(checkpoint)
        try made.write(path: output)
        guard !quiet else { return }
        print("\(output): \(made.description.kind.rawValue), \(report.loaded.count) tensors taken over")
        if !report.unexpected.isEmpty { print("  left: \(report.unexpected.joined(separator: ", "))") }
    }
}
