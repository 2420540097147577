import Support

/// Datasets against one of them: metrics of each observable, figures, a page.
public struct DatasetComparison: Sendable {
    /// What the others are held against.
    public let reference: ComparedJets
    /// The others; none: the reference is only shown.
    public let others: [ComparedJets]
    /// What was compared, in the order of tables.
    public let observables: [Observable]
    /// The metrics of each; none if there are no others.
    public let comparisons: [Comparison]
    /// Names of observables without a defined entry on one side, which cannot be compared.
    public let undefined: [String]

    /// Compares observables of jets.
    /// - Parameters:
    ///   - observables: What is compared; all of their groups must have been computed for all datasets.
    ///   - progress: Is told observables that are done, and all of them.
    /// - Throws: `EvaluationError` with code `options` if two datasets have one name.
    public init(
        reference: ComparedJets, others: [ComparedJets], observables: [Observable],
        options: Comparison.Options = .init(), progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        let all = [reference] + others
        if let twice = Dictionary(grouping: all, by: \.name).first(where: { $1.count > 1 })?.key {
            throw EvaluationError(
                .options, place: "names", message: "two datasets are called '\(twice)'",
                advice: "give them names: DATASET@name=NAME")
        }
        (self.reference, self.others, self.observables) = (reference, others, observables)
        var made: [Comparison] = [], lost: [String] = []
        for (number, observable) in observables.enumerated() {
            let entries = all.map { $0.entries(of: observable) }
            if entries.contains(where: { !$0.values.contains(where: \.isFinite) }) {
                lost.append(observable.name)
            } else if !others.isEmpty {
                made.append(
                    try Comparison(
                        Quantity(observable), reference: entries[0], others: Array(entries.dropFirst()),
                        options: options))
            }
            progress(number + 1, observables.count)
        }
        (comparisons, undefined) = (made, lost)
    }

    /// All datasets, the reference first.
    public var all: [ComparedJets] { [reference] + others }

    /// What programs read.
    public var json: some Encodable {
        Summary(
            datasets: all.map {
                Summary.Dataset(
                    name: $0.name, origin: $0.origin, fingerprint: $0.fingerprint, jets: $0.table.rows,
                    counts: $0.table.counts)
            }, comparisons: comparisons, undefined: undefined)
    }

    private struct Summary: Encodable {
        struct Dataset: Encodable {
            var name: String
            var origin: String
            var fingerprint: String
            var jets: Int
            var counts: ObservableTable.Counts
        }

        var datasets: [Dataset]
        var comparisons: [Comparison]
        var undefined: [String]
    }
}
