import HDF5File
import ROOTFile
import Shards
import Support

/// An input of a conversion: rows of jets with the fields of a schema.
///
/// Rows are read in slices, the stretches that the file's layout makes cheap to read at once.
public protocol JetSource: Sendable {
    /// What the catalogue says of the input; rows taken are filled in by the plan.
    var entry: InputEntry { get }
    /// Its slices.
    var slices: SliceMap { get }
    /// Bytes that a slice takes in memory if every slot is filled.
    var worstSliceBytes: Int { get }
    /// Slots for constituents of a jet: a jet that fills them all may have been cut; 0 if there is no such limit.
    var slots: Int { get }
    /// Columns of the schema that this input does not have; the schema allows them to be missing.
    var absent: Set<String> { get }
    /// What was found out in choosing rows.
    var report: SourceReport { get }
    /// Reads a slice, with the memory of the worker that reads.
    /// - Throws: An error that names file, dataset and place.
    func read(slice: Int, using scratch: SourceScratch) throws -> RowSlice
    /// Gives file descriptors back; reading opens the file again.
    func close()
}

extension JetSource {
    public var absent: Set<String> { [] }
    public var report: SourceReport { SourceReport() }
}

/// What a source has to tell beside its rows.
public struct SourceReport: Sendable {
    /// Cuts in their order with what was left after each; nothing where all rows are taken.
    public var cutFlow: [CutFlowEntry] = []
    /// Generated events and their weights, of simulation.
    public var generator: GeneratorSums?
    /// Triggers of the selection that it does not have, and that count as not fired.
    public var missingTriggers: [String] = []
    /// Filters of the selection that it does not have, and that count as passed.
    public var missingFilters: [String] = []
    /// Branches that the schema neither names nor ignores.
    public var leftOut: [String] = []
    /// What else should be known of the input.
    public var remarks: [String] = []

    /// Nothing to tell.
    public init() {}
}

/// What reading needs besides the result, kept from slice to slice and from input to input. Not Sendable: one worker owns it.
public final class SourceScratch {
    let hdf5 = HDF5Scratch()
    let root = ROOTScratch()

    /// Memory for one worker.
    public init() {}
}

/// Rows of an input in memory.
///
/// `@unchecked Sendable`: nothing changes after it was made; the owners keep the memory alive.
public final class RowSlice: @unchecked Sendable {
    /// A stretch of rows whose constituents lie together.
    struct Band {
        /// Rows of the input.
        var rows: Range<Int>
        /// Where the constituents of each row begin, and where the last one's end; `rows.count + 1` numbers.
        var offsets: [Int]
        /// The values of each constituent field in the order of the schema; nil for those that the input does not have.
        var columns: [UnsafeRawPointer?]
    }

    /// Rows of the input.
    let rows: Range<Int>
    /// The rows in stretches, in order.
    let bands: [Band]
    /// Values of each field with one value a jet, in the order of the schema; nil for those that the input does not have.
    let jetColumns: [UnsafeRawPointer?]
    private let owners: [AnyObject]

    init(rows: Range<Int>, bands: [Band], jetColumns: [UnsafeRawPointer?], owners: [AnyObject]) {
        self.rows = rows
        self.bands = bands
        self.jetColumns = jetColumns
        self.owners = owners
    }
}
