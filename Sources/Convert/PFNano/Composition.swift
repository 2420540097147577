import Shards
import Support

/// How many jets of each process a selection takes from data, estimated from simulation: Table 1 of the AspenOpenJets paper.
///
/// A process with samples s gives N = L · Σ σ_s · W_sel,s / W_gen,s jets, where W_gen sums the generator's weights over all events that
/// were generated, and W_sel over the jets that pass selection and match; its statistical error is L · σ · √Σw² / W_gen, of several
/// samples added in quadrature. What data have beyond the other processes is QCD. Nothing corrects for the efficiency of triggers or
/// of reconstruction.
public struct Composition: Codable, Sendable {
    /// A dataset and the sample that it is of.
    public struct Part: Sendable {
        /// The directory of the dataset.
        public var dataset: String
        /// What its sample's name begins with; nil: the paths of its inputs tell.
        public var sample: String?

        /// A part; `SAMPLE=DATASET` or `DATASET`.
        public init(_ text: String) {
            if let sign = text.firstIndex(of: "="), !Directory.exists(text) {
                sample = String(text[..<sign])
                dataset = String(text[text.index(after: sign)...])
            } else {
                dataset = text
            }
        }
    }

    /// A sample with its estimate.
    public struct Sample: Codable, Sendable {
        /// The CMS name.
        public var dataset: String
        /// The process it belongs to.
        public var process: String
        /// Its cross section in pb.
        public var crossSection: Double
        /// Generated events.
        public var events: Int64
        /// Jets that were selected, without weights.
        public var selected: Int
        /// Sum of the weights of selected jets over that of generated events.
        public var efficiency: Double
        /// Jets in the luminosity.
        public var jets: Double
        /// The statistical error of `jets`.
        public var uncertainty: Double
    }

    /// A process with its estimate.
    public struct Process: Codable, Sendable {
        /// Its name.
        public var process: String
        /// Jets in the luminosity.
        public var jets: Double
        /// The statistical error of `jets`.
        public var uncertainty: Double
        /// `jets` as a part of the jets of data; nil without data.
        public var share: Double?
        /// Whether it is what the others leave of the data.
        public var isRemainder: Bool
    }

    /// Luminosity in fb⁻¹.
    public var luminosity: Double
    /// Jets of data; nil without data.
    public var dataJets: Int?
    /// The samples in the order of the table.
    public var samples: [Sample]
    /// The processes in the order of the table; with data, QCD is the remainder.
    public var processes: [Process]
    /// Samples of the table of which there is no dataset.
    public var missing: [String]

    /// The process that is what the others leave of the data.
    static let remainder = "QCD"

    /// Estimates.
    /// - Parameters:
    ///   - parts: Datasets of simulation.
    ///   - data: Datasets of data; none: there is no remainder.
    ///   - luminosity: In fb⁻¹; nil: that of the table.
    /// - Throws: `ConvertError` with code `usage` if a dataset is not of a sample, holds no sums of weights or was matched with another
    ///   particle than the table says; `DatasetError`.
    public init(of parts: [Part], data: [String], table: CrossSections, luminosity: Double? = nil) throws {
        self.luminosity = luminosity ?? table.luminosity
        var found: [String: (sums: GeneratorSums, selected: Int)] = [:]
        for part in parts {
            let catalogue = try Dataset.readCatalogue(part.dataset)
            let sample = try Self.sample(part, catalogue, table)
            var (sums, selected) = found[sample.dataset] ?? (GeneratorSums(match: sample.match?.rawValue), 0)
            sums.add(try Self.sums(part, catalogue, sample))
            selected += catalogue.rows
            found[sample.dataset] = (sums, selected)
        }
        let expected = (luminosity ?? table.luminosity) * 1000
        let estimates = try table.samples.compactMap { sample -> Sample? in
            guard let (sums, selected) = found[sample.dataset] else { return nil }
            guard sums.sumOfWeights > 0, sums.sumOfWeights.isFinite else {
                throw ConvertError(
                    .usage, file: sample.primaryName, message: "its generated weights add up to \(sums.sumOfWeights)")
            }
            let produced = expected * sample.crossSection
            return Sample(
                dataset: sample.dataset, process: sample.process, crossSection: sample.crossSection,
                events: sums.events,
                selected: selected, efficiency: sums.selectedSumOfWeights / sums.sumOfWeights,
                jets: produced * sums.selectedSumOfWeights / sums.sumOfWeights,
                uncertainty: produced * sums.selectedSumOfSquaredWeights.squareRoot() / sums.sumOfWeights)
        }
        samples = estimates
        missing = table.samples.filter { found[$0.dataset] == nil }.map(\.primaryName)
        let jets = try data.isEmpty ? nil : data.reduce(0) { try $0 + Self.dataRows($1) }
        dataJets = jets
        var order: [String] = []
        for sample in estimates where !order.contains(sample.process) { order.append(sample.process) }
        var processes = order.map { name in
            let own = estimates.filter { $0.process == name }
            return Process(
                process: name, jets: own.reduce(0) { $0 + $1.jets },
                uncertainty: own.reduce(0) { $0 + $1.uncertainty * $1.uncertainty }.squareRoot(), share: nil,
                isRemainder: false)
        }
        if let jets {
            processes.removeAll { $0.process == Self.remainder }
            let others = processes.reduce(0) { $0 + $1.jets }
            let error = processes.reduce(Double(jets)) { $0 + $1.uncertainty * $1.uncertainty }.squareRoot()
            processes.insert(
                Process(
                    process: Self.remainder, jets: Double(jets) - others, uncertainty: error, share: nil,
                    isRemainder: true), at: 0)
            for index in processes.indices where jets > 0 {
                processes[index].share = processes[index].jets / Double(jets)
            }
        }
        self.processes = processes
    }

    private static func dataRows(_ path: String) throws -> Int {
        let catalogue = try Dataset.readCatalogue(path)
        guard catalogue.generator == nil else {
            throw ConvertError(.usage, file: path, message: "is simulation, expected data")
        }
        return catalogue.rows
    }

    private static func sample(_ part: Part, _ catalogue: Catalogue, _ table: CrossSections) throws
        -> CrossSections.Sample
    {
        if let name = part.sample { return try table.sample(named: name) }
        guard let sample = table.sample(ofInputs: catalogue.provenance.inputs.map(\.name)) else {
            throw ConvertError(
                .usage, file: part.dataset, message: "the paths of its inputs do not tell which sample it is of",
                advice: "name it as SAMPLE=\(part.dataset)")
        }
        return sample
    }

    private static func sums(_ part: Part, _ catalogue: Catalogue, _ sample: CrossSections.Sample) throws
        -> GeneratorSums
    {
        guard let sums = catalogue.generator else {
            throw ConvertError(
                .usage, file: part.dataset, message: "holds no sums of generator weights",
                advice: "convert the PFNano files of the simulation, with their trees Runs")
        }
        guard sums.match == sample.match?.rawValue else {
            throw ConvertError(
                .usage, file: part.dataset,
                message:
                    "its jets were matched with \(sums.match ?? "nothing"), expected \(sample.match?.rawValue ?? "nothing")",
                advice: "convert it \(sample.match.map { "with --match \($0.rawValue)" } ?? "without --match")")
        }
        return sums
    }
}
