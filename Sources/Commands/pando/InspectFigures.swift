import Evaluation
import Support

/// `pando inspect --figures`: what jets of one dataset look like.
enum InspectFigures {
    private static let limit = 100_000

    /// Draws figures and the page, and says where it is.
    static func draw(_ dataset: String, into directory: String) throws {
        Interruption.listen()
        let request = CompareCommand.Request(
            groups: [.original, .groomed], observables: ObservableGroups([.original, .groomed]).observables,
            view: .stored, limit: limit, minimumConstituents: 3, threads: Machine.usableCores)
        let found = try CompareCommand.compare(
            [JetChoice(parsing: dataset)], request, options: .init(), keepsConstituents: true, quiet: false)
        print(try CompareCommand.write(found, title: "Jets of \(found.reference.name)", into: directory, quiet: false))
    }
}
