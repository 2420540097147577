import Foundation
import Loader
import Shards
import Support

/// What `refuse` tries, as JSON: a loader and the rest of its epoch, or rows of a dataset.
struct RefusedCase: Decodable {
    var loader: DumpConfiguration?
    /// Features of the loader as the text of a configuration.
    var features: String?
    var dataset: String?
    var rows: [Int]?
    var columns: [String]?

    func run() throws {
        if let loader {
            var contents = try loader.contents
            contents.features = try features.map { try FeatureConfiguration(json: $0) }
            let made = try Loader(
                mixture: loader.sources.map { LoaderSource($0.dataset, weight: $0.weight) }, contents: contents,
                options: loader.options)
            var state = made.state(epoch: loader.epoch ?? 0)
            state.step = loader.step ?? 0
            let batches = try made.batches(from: state)
            while try batches.next() != nil {}
        }
        if let dataset {
            let opened = try Dataset(directory: dataset)
            let rows = self.rows ?? [0, opened.firstRows.last ?? 0]
            _ = try JetRows(opened, rows: rows[0]..<rows[1], columns: columns)
        }
    }
}

/// Tries each of what a file lists, and prints what its error says: the text as a person sees it, and its parts.
func refuse(cases file: String) throws {
    func parts(_ error: some AddressedError) -> [String: Any] {
        [
            "text": "\(error)", "code": "\(error.code)", "file": error.file, "place": error.place,
            "message": error.message, "advice": error.advice ?? NSNull(),
        ]
    }
    let cases = try JSONDecoder().decode([RefusedCase].self, from: Data(contentsOf: URL(fileURLWithPath: file)))
    let told = cases.map { asked -> [String: Any] in
        do {
            try asked.run()
            return [:]
        } catch let error as any AddressedError {
            return parts(error)
        } catch {
            return ["text": "\(error)"]
        }
    }
    print(String(decoding: try JSONSerialization.data(withJSONObject: told, options: .sortedKeys), as: UTF8.self))
}
