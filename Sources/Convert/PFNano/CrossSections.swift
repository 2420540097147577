import Foundation
import Shards
import Support

/// Simulated samples with their cross sections, and the luminosity of the data they are compared with: a JSON file such as
/// `schemas/cross-sections-2016.json` (Table 2 of the AspenOpenJets paper).
public struct CrossSections: Codable, Sendable, Equatable {
    /// A simulated sample.
    public struct Sample: Codable, Sendable, Equatable {
        /// What it simulates; several samples may belong to one process.
        public var process: String
        /// The particle that its jets must match; nil: none.
        public var match: GeneratorMatch?
        /// The CMS name of the sample: `/PRIMARY/ERA/TIER`.
        public var dataset: String
        /// Its cross section in pb.
        public var crossSection: Double

        enum CodingKeys: String, CodingKey {
            case process, match, dataset
            case crossSection = "cross_section_pb"
        }

        /// The first part of the CMS name, by which files lie in folders.
        public var primaryName: String { dataset.split(separator: "/").first.map(String.init) ?? dataset }
    }

    /// Integrated luminosity of the data in fb⁻¹.
    public var luminosity: Double
    /// The unit of the cross sections: pb.
    public var unit: String
    /// The data.
    public var data: [String]?
    /// The samples.
    public var samples: [Sample]
    /// What should be known of the table.
    public var notes: [String]?

    enum CodingKeys: String, CodingKey {
        case luminosity = "luminosity_fb-1"
        case unit, data, samples, notes
    }

    /// The table of this file, or that of 2016, which comes with the program.
    /// - Throws: `ConvertError` with code `schema` that says what is wrong with the file.
    public init(path: String?) throws {
        let file = path ?? "cross-sections-2016.json"
        let bytes =
            try path.map { try InputFile(path: $0).readAll(limit: 1 << 24) }
            ?? PackageResources.cross_sections_2016_json
        do {
            self = try JSONDecoder().decode(CrossSections.self, from: Data(bytes))
        } catch {
            throw ConvertError(
                .schema, file: file, message: "is no table of cross sections: \(SourceSchema.explain(error))")
        }
        func fault(_ place: String, _ message: String) -> ConvertError {
            ConvertError(.schema, file: file, place: place, message: message)
        }
        guard unit == "pb" else { throw fault("unit", "is '\(unit)', expected pb") }
        guard luminosity.isFinite, luminosity > 0 else { throw fault("luminosity_fb-1", "is \(luminosity)") }
        for sample in samples where !(sample.crossSection.isFinite && sample.crossSection >= 0) {
            throw fault(sample.dataset, "has the cross section \(sample.crossSection)")
        }
        guard Set(samples.map(\.primaryName)).count == samples.count else {
            throw fault("samples", "have a name twice")
        }
    }

    /// The sample whose primary name begins so.
    /// - Throws: `ConvertError` with code `usage` if there is none or several.
    func sample(named name: String) throws -> Sample {
        let found = samples.filter { $0.primaryName == name || $0.primaryName.hasPrefix(name) }
        if let exact = found.first(where: { $0.primaryName == name }) ?? (found.count == 1 ? found.first : nil) {
            return exact
        }
        let several = found.isEmpty ? "no sample of the table begins so" : "begins the names of several samples"
        throw ConvertError(
            .usage, file: name, message: several,
            advice: "the table has \((found.isEmpty ? samples : found).map(\.primaryName).joined(separator: ", "))")
    }

    /// The sample that the inputs of a dataset belong to, by the folders or names of their paths; nil if that is not clear.
    func sample(ofInputs paths: [String]) -> Sample? {
        let found = samples.filter { sample in
            !paths.isEmpty
                && paths.allSatisfy { path in
                    path.split(separator: "/").contains {
                        $0 == sample.primaryName || $0.hasPrefix(sample.primaryName + "_")
                            || $0.hasPrefix(sample.primaryName + ".")
                    }
                }
        }
        return found.count == 1 ? found.first : nil
    }
}
