import Foundation

/// A dataset and which of its jets, as one writes it on a command line: `DATASET@name=top,label=8,split=test,limit=1000`.
public struct JetChoice: Sendable, Equatable {
    /// The directory of the dataset.
    public var dataset: String
    /// The name in tables and legends.
    public var name: String
    /// The split; nil: all.
    public var split: String?
    /// Labels of the column `label`; nil: all. Several are joined by `+`.
    public var labels: Set<Int32>?
    /// So many jets at most, chosen at random; nil: all.
    public var limit: Int?

    /// Reads a choice.
    /// - Throws: `EvaluationError` with code `options` that names what is not understood.
    public init(parsing text: String) throws {
        // A path may hold the sign too; choices hold an equals sign.
        let sign = text.lastIndex(of: "@").flatMap { text[$0...].contains("=") ? $0 : nil }
        dataset = String(text[..<(sign ?? text.endIndex)])
        let last = URL(fileURLWithPath: dataset).lastPathComponent
        name = last.hasSuffix(".pando") ? String(last.dropLast(6)) : last
        guard let sign else { return }
        func fault(_ part: Substring, _ message: String) -> EvaluationError {
            EvaluationError(
                .options, place: String(part), message: message,
                advice: "write DATASET@name=NAME,split=SPLIT,label=N+M,limit=N")
        }
        for part in text[text.index(after: sign)...].split(separator: ",") {
            let words = part.split(separator: "=", maxSplits: 1)
            guard words.count == 2 else { throw fault(part, "is not like name=top") }
            let value = String(words[1])
            switch words[0] {
            case "name": name = value
            case "split": split = value
            case "label":
                let numbers = value.split(separator: "+").map { Int32($0) }
                guard numbers.allSatisfy({ $0 != nil }) else { throw fault(part, "holds what is no whole number") }
                labels = Set(numbers.compactMap { $0 })
            case "limit":
                guard let number = Int(value), number > 0 else { throw fault(part, "is no number above 0") }
                limit = number
            default: throw fault(part, "is not known")
            }
        }
    }

    /// The jets, with a limit for those who named none.
    public func sample(limit most: Int?) -> JetSample {
        var sample = JetSample(dataset)
        (sample.split, sample.labels, sample.limit) = (split, labels, limit ?? most)
        if labels != nil { sample.labelColumn = "label" }
        return sample
    }
}
