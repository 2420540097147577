import HDF5File
import Shards
import Support

/// An input of a conversion: rows of jets with the fields of a schema.
///
/// Rows are read in slices, the stretches that the file's layout makes cheap to read at once.
public protocol JetSource: Sendable {
    /// What the catalogue says of the input; rows taken are filled in by the plan.
    var entry: InputEntry { get }
    /// Rows a slice; the last one may have fewer.
    var sliceRows: Int { get }
    /// Bytes that a slice takes in memory if every slot is filled.
    var worstSliceBytes: Int { get }
    /// Slots for constituents of a jet: a jet that fills them all may have been cut; 0 if there is no such limit.
    var slots: Int { get }
    /// Reads a slice, with the memory of the worker that reads.
    /// - Throws: An error that names file, dataset and place.
    func read(slice: Int, using scratch: SourceScratch) throws -> RowSlice
    /// Gives file descriptors back; reading opens the file again.
    func close()
}

extension JetSource {
    /// The rows of a slice.
    func rows(ofSlice slice: Int) -> Range<Int> {
        slice * sliceRows..<min(entry.rows, (slice + 1) * sliceRows)
    }
}

/// What reading needs besides the result, kept from slice to slice and from input to input. Not Sendable: one worker owns it.
public final class SourceScratch {
    let hdf5 = HDF5Scratch()

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
        /// The values of each constituent field, in the order of the encoding.
        var columns: [UnsafeRawPointer]
    }

    /// Rows of the input.
    let rows: Range<Int>
    /// The rows in stretches, in order.
    let bands: [Band]
    /// Values of each field with one value a jet, in the order of the encoding.
    let jetColumns: [UnsafeRawPointer]
    private let owners: [AnyObject]

    init(rows: Range<Int>, bands: [Band], jetColumns: [UnsafeRawPointer], owners: [AnyObject]) {
        self.rows = rows
        self.bands = bands
        self.jetColumns = jetColumns
        self.owners = owners
    }
}
