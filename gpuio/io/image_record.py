"""ImageRecordIter: from record files to batches of images on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import Context
from gpuio.execution.executors import resolve_executor
from gpuio.execution.output import OutputSpec
from gpuio.io.mixed_records import mixture_options, mixture_shard
from gpuio.io.record_files import RecordFilesIter, log_opened
from gpuio.iterators.arguments import (
    as_amount,
    as_batch_size,
    as_bool,
    as_channels,
    as_choice,
    as_fill,
    as_float,
    as_image_shape,
    as_int,
    as_integers,
    as_range,
    as_shuffle,
    check_call,
    crop_ranges,
    last_batch_mode,
)
from gpuio.iterators.augmentation import as_mixer, as_policies
from gpuio.iterators.image_loader_iter import LoaderOptions
from gpuio.loading.labels import read_label_table
from gpuio.planning.affine import NO_LIMIT, AffineOptions
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.jitter import JitterOptions
from gpuio.planning.mixing import CutMix, MixUp
from gpuio.planning.plan import AREA, LINEAR, NEAREST
from gpuio.recordio.quarantine import read_quarantine
from gpuio.storage.local import Path

# A range of factors that leaves everything as it is.
NONE = (1.0, 1.0)


class ImageRecordIter(RecordFilesIter):
    """Batches of decoded, cropped and normalized images from record files, on the CPU or on a GPU.

    Names, defaults and meanings are MXNet's. On the CPU images are decoded by libjpeg-turbo and
    resampled by OpenCV in threads; on a GPU by NVIDIA DALI and a CUDA kernel. Batches are made
    ahead of the caller; one that has been handed out is never overwritten.

    The random choices for a sample depend on the seed, the epoch and the record alone: they are the
    same on any device, with any number of threads or parts, any batch size, and after a resume.
    Only with which other image `batch_augment` mixes it depends on the batch.

    Parameters
    ----------
    path_imgrec : the record file; or several, as a sequence or joined by ";", or a directory of
        ``*.rec`` files. Each may be a URL (s3, gs, az, http, https and others), also that of other
        files; that of a directory ends with "/"
    data_shape : (channels, height, width) of the output; 1 channel is gray, 3 RGB, 4 RGBA
    batch_size : images in a batch
    path_imgidx : the index, or one for each record file. Without one, the record files are
        scanned when the iterator is created
    path_imglist : an im2rec list whose labels replace those in the records; lines are found by the
        records' id
    label_width : numbers in a label. Of a face dataset, 1 gives the identity alone, also where the
        records have longer labels
    resize : scale the shorter side to this many pixels before the crop; -1: keep the size
    max_rotate_angle : then rotate by a random integer of up to this many degrees, either way; what
        the image does not cover gets `fill_value`, and its corners are cut off
    rotate : rotate all images by this many degrees counterclockwise instead; not above 0: do not
    rotate_list : rotate by one of these numbers of degrees at random instead; a sequence, or
        numbers joined by ","
    max_shear_ratio : range of a random shear, either way
    min_random_scale, max_random_scale : range of a random factor of width and height, in either
        order
    min_aspect_ratio, max_aspect_ratio : range of a random ratio of their factors; without
        min_aspect_ratio the range is 1 - max_aspect_ratio to 1 + max_aspect_ratio. With
        random_resized_crop, range of the crop's width/height (or, with equal probability,
        height/width)
    min_img_size, max_img_size : least and largest width and height of an image that is rotated,
        sheared or scaled so; it is cut off, or padded with `fill_value`
    pad : then add a border of this many pixels on each side
    fill_value : pixel value, 0 to 255, of what surrounds an image; alpha is 0
    rand_crop : crop at a random position instead of the center. Images smaller than the crop are
        enlarged
    min_crop_size, max_crop_size : crop a square whose side is a random integer in this range and
        scale it to the output. A smaller image is a bad record
    random_resized_crop : crop a random area of a random aspect ratio and scale it to the output
    min_random_area, max_random_area : range of that area, as a fraction of the image
    brightness, contrast, saturation : largest change of the factor from 1
    hue : largest rotation of hues, in half turns (MXNet's ImageRecordIter does not have it)
    random_h, random_s, random_l : largest shifts of hue (0 to 180), saturation and lightness (0 to
        255), which are clipped to these ranges
    pca_noise : standard deviation of noise along the principal components of ImageNet's colors
    rand_mirror : mirror each image with probability 0.5
    mirror : mirror every image
    mean_r, mean_g, mean_b, mean_a : subtracted from each channel, as pixel values of 0 to 255
    std_r, std_g, std_b, std_a : each channel is divided by these
    scale : then multiplied by this; ``(pixel - mean) * (scale / std)``
    mean_img : a file of ``nd.save`` with the mean image, (channels, height, width), subtracted
        instead of the means. If it does not exist, it is computed from all images, augmented but
        not flipped, and written
    max_random_contrast : largest change of the factor of ``pixel - mean`` from 1
    max_random_illumination : largest value added to that
    augmenters : what images go through after the crop, `random_h` and its like, and before they are
        mirrored, changed by `brightness` and its like, and normalized: some of
        `gpuio.image.RandAugment`, `TrivialAugmentWide`, `ColorJitter` and `RandomErasing`, in their
        order. (MXNet does not have them)
    batch_augment : mix the images of each batch, and their labels: `gpuio.image.MixUp` or
        `CutMix`, or a list of both, of which each image gets one at random. Labels then have the
        shape that these say. (MXNet does not have them)
    inter_method : interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos, 9 bicubic to
        enlarge and area to shrink, 10 one of 0 to 4 at random. With rotation or shear, area is
        bilinear, and with DALI so is all but nearest
    shuffle : a new order each epoch. True: a permutation of all records. "blocks": blocks of
        consecutive records in random order, their records shuffled within pools of blocks: about
        as good a mixture (the documentation has figures), and far fewer requests to a remote store
        or seeks of a disk
    block_size : bytes in a block, as a number or with a unit, such as "8MB" or "8MiB". A block is
        of one file
    pool_blocks : blocks whose records are shuffled together
    weights : with shuffle: a weight for each entry of path_imgrec, which may be several files
        joined by ";" or a directory; the samples come from these sources in the proportions of the
        weights, evenly spread. Each source is shuffled again when all of its records have come,
        also within an epoch, and goes on in the next where it was. num_parts means
        partition="global"
    epoch_size : with shuffle: samples in an epoch; None: as many as there are records
    shuffle_chunk_size : without shuffle and path_imgidx: MiB in a chunk of consecutive records;
        the chunks come in a new order each epoch. 0: all records come in order
    shuffle_chunk_seed : determines the order of the chunks
    seed : determines the order
    seed_aug : determines the augmentation; None: `seed`
    round_batch : fill an incomplete last batch with the next epoch's first images, after which that
        epoch continues; if False, fill it with images of the same epoch, and begin each epoch with
        its first image. `pad` counts them
    num_parts, part_index : divide the records into this many contiguous parts, and read this one.
        ``num_parts="auto"`` takes both from the launcher (Ray Train, PyTorch, JAX, torchrun, MPI,
        Slurm), see `rank_and_size`
    preprocess_threads : decoding threads; None: all CPUs, or 4 for a CPU without the native module
    prefetch_buffer : batches made ahead of the caller
    dtype : "float32" (None means that), "float16", "uint8" or "int8". uint8 ignores mean, std and
        scale; int8 subtracts the rounded mean and saturates
    layout : "NCHW" or "NHWC"
    ctx : the device, such as ``gpu(0)`` or "gpu:0"; None: the current context
    on_error : what to do about a record that cannot be used. "raise"; "skip": the other images move
        up, and `pad` counts the rows missing at the batch's end, which repeat others; "substitute":
        another image of the batch replaces it. `bad_records` lists them
    quarantine : a list of records to leave out, as `write_quarantine` and ``gpuio verify`` write it
    last_batch_handle : instead of round_batch: "pad" (as round_batch=False), "discard" the
        incomplete batch, or "roll_over": it becomes the beginning of the next epoch's first batch
    partition : "contiguous" parts, as in MXNet, or "global": all records are in one order, and part
        i takes the i-th slice of each global batch, so that the order is the same for any number of
        parts. None: "global" with ``num_parts="auto"``, else "contiguous"
    antialias : when shrinking, average all source pixels of an output pixel, as Pillow and
        torchvision do (MXNet does not)
    executor : "host" or "dali"; None: "host" on the CPU, "dali" on a GPU. "dali" on the CPU runs
        DALI's CPU operators
    hw_decoder_load : on a GPU, the fraction of the images offered to its JPEG engines
    dct_scaling : decode JPEGs at 1/2, 1/4 or 1/8 of their size where what is cropped is at least so
        much larger than the output, which takes half of the time for photographs of 12 megapixels.
        Scaled to 256, their pixel values differ by 3 to 4 on average, and in images full of detail
        by 10, as more pixels are averaged. On the CPU, with the native module only
    max_pixels : the most pixels of an image, as it is stored and at every step of its
        augmentation; one with more is a bad record. None: what the environment variable
        GPUIO_MAX_PIXELS says, else 2**28
    data_name, label_name : names of the arrays
    cache_dir : the folder where remote files are cached, for all processes of a user; None: the
        environment variable GPUIO_CACHE_DIR, else ``~/.cache/gpuio``
    cache_limit : the most bytes of that folder, or a string such as "500GB"; None: the environment
        variable GPUIO_CACHE_LIMIT, else 100 GB
    storage_options : credentials, endpoint, region and others, as obstore has them; a pickle of the
        iterator has no secrets, which its copy takes from the environment
    retries : how often a failed request is repeated
    timeout : seconds that one request may take
    readahead : bytes of remote files that are fetched ahead of the batch in hand
    verbose : log what was opened, through the logger "gpuio"
    device_id : has no effect, as `ctx` is the device
    aug_seq : MXNet's only one, "aug_default"

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, channels, height, width) or as `layout` has it
    provide_label : one DataDesc: float32 (batch_size,), or (batch_size, label_width), or as
        `batch_augment` has it
    bad_records : the records that `on_error` has left out or replaced so far, as
        BadRecord(key, place, reason, file, offset)

    Raises
    ------
    ArgumentError : a value is out of range, or two are inconsistent.
    TypeError : there is no such argument.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was
        opened; raised whatever `on_error` is.
    ContextError : the device is not available.

    Examples
    --------
    >>> train = ImageRecordIter(
    ...     path_imgrec="train.rec", path_imgidx="train.idx",
    ...     data_shape=(3, 224, 224), batch_size=256, shuffle=True, rand_mirror=True,
    ...     random_resized_crop=True, min_random_area=0.08,
    ...     min_aspect_ratio=3 / 4, max_aspect_ratio=4 / 3, ctx="cpu",  # or "gpu:0"
    ... )
    >>> for batch in train:
    ...     images, labels = batch.data[0], batch.label[0]
    """

    _dtype: ClassVar[str | None] = None  # of subclasses that have a fixed one

    @check_call
    def __init__(
        self,
        *,
        path_imgrec: Path | Sequence[Path],
        data_shape: Sequence[int],
        batch_size: int,
        path_imgidx: Path | Sequence[Path] | None = None,
        path_imglist: Path | None = None,
        label_width: int = 1,
        resize: int = -1,
        max_rotate_angle: int = 0,
        rotate: int = -1,
        rotate_list: str | Sequence[int] | None = None,
        max_shear_ratio: float = 0.0,
        min_random_scale: float = 1.0,
        max_random_scale: float = 1.0,
        min_aspect_ratio: float | None = None,
        max_aspect_ratio: float = 0.0,
        min_img_size: float = 0.0,
        max_img_size: float = NO_LIMIT,
        pad: int = 0,
        fill_value: int = 255,
        rand_crop: bool = False,
        min_crop_size: int = -1,
        max_crop_size: int = -1,
        random_resized_crop: bool = False,
        min_random_area: float = 1.0,
        max_random_area: float = 1.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        random_h: int = 0,
        random_s: int = 0,
        random_l: int = 0,
        pca_noise: float = 0.0,
        rand_mirror: bool = False,
        mirror: bool = False,
        mean_r: float = 0.0,
        mean_g: float = 0.0,
        mean_b: float = 0.0,
        mean_a: float = 0.0,
        std_r: float = 1.0,
        std_g: float = 1.0,
        std_b: float = 1.0,
        std_a: float = 1.0,
        scale: float = 1.0,
        mean_img: Path | None = None,
        max_random_contrast: float = 0.0,
        max_random_illumination: float = 0.0,
        augmenters: Sequence[Any] = (),
        batch_augment: MixUp | CutMix | Sequence[MixUp | CutMix] | None = None,
        inter_method: int = 1,
        shuffle: bool | str = False,
        shuffle_chunk_size: int = 0,
        shuffle_chunk_seed: int = 0,
        block_size: int | str = "8MB",
        pool_blocks: int = 16,
        weights: Sequence[float] | None = None,
        epoch_size: int | None = None,
        seed: int = 0,
        seed_aug: int | None = None,
        round_batch: bool = True,
        num_parts: int | str = 1,
        part_index: int = 0,
        preprocess_threads: int | None = None,
        prefetch_buffer: int = 4,
        dtype: DTypeLike | None = None,
        layout: str = "NCHW",
        ctx: Context | str | None = None,
        on_error: str = "raise",
        quarantine: Path | None = None,
        last_batch_handle: str | None = None,
        partition: str | None = None,
        antialias: bool = False,
        executor: str | None = None,
        hw_decoder_load: float = 0.65,
        dct_scaling: bool = False,
        max_pixels: int | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
        verbose: bool = True,
        device_id: int = 0,
        aug_seq: str = "aug_default",
    ) -> None:
        super().__init__(as_batch_size(batch_size))
        as_choice("aug_seq", aug_seq, ("aug_default",))
        as_int("device_id", device_id)
        channels, height, width = as_image_shape(data_shape)
        label_width = as_int("label_width", label_width, 1)
        fill = as_fill("fill_value", fill_value, channels)
        resized_crop = as_bool("random_resized_crop", random_resized_crop)
        area, ratio = crop_ranges(
            min_random_area, max_random_area, min_aspect_ratio, max_aspect_ratio
        )
        # As in MXNet, one of them may be given alone.
        scales = (
            as_float("min_random_scale", min_random_scale),
            as_float("max_random_scale", max_random_scale),
        )
        affine = AffineOptions(
            max_rotation=as_int("max_rotate_angle", max_rotate_angle),
            rotation=as_int("rotate", rotate),
            rotations=as_integers("rotate_list", rotate_list),
            max_shear=as_amount("max_shear_ratio", max_shear_ratio),
            scale=(min(scales), max(scales)),
            ratio=NONE if resized_crop else ratio,
            canvas=(
                as_float("min_img_size", min_img_size),
                as_float("max_img_size", max_img_size),
            ),
        )
        crop = CropOptions(
            height=height,
            width=width,
            resize=None if resize == -1 else as_int("resize", resize, 1),
            affine=affine,
            pad=max(as_int("pad", pad), 0),
            fill=fill,
            rand_crop=as_bool("rand_crop", rand_crop),
            crop_size=as_range("crop_size", min_crop_size, max_crop_size),
            resized_crop=resized_crop,
            area=area if resized_crop else NONE,
            ratio=ratio if resized_crop else NONE,
            mirror=as_bool("mirror", mirror),
            rand_mirror=as_bool("rand_mirror", rand_mirror),
            method=as_int("inter_method", inter_method, 0),
            antialias=as_bool("antialias", antialias),
        )
        jitter = JitterOptions(
            brightness=as_amount("brightness", brightness),
            contrast=as_amount("contrast", contrast),
            saturation=as_amount("saturation", saturation),
            hue=as_amount("hue", hue),
            pca_noise=as_amount("pca_noise", pca_noise),
            hls=(
                as_int("random_h", random_h, 0),
                as_int("random_l", random_l, 0),
                as_int("random_s", random_s, 0),
            ),
            gain=as_amount("max_random_contrast", max_random_contrast),
            shift=as_amount("max_random_illumination", max_random_illumination),
        )
        jitter.check_channels(channels)
        policies = as_policies("augmenters", augmenters, channels)
        output = OutputSpec(
            channels=channels,
            height=height,
            width=width,
            dtype=self._dtype or dtype or np.float32,  # type: ignore[arg-type]  # checked there
            layout=layout,
            mean=as_channels("mean", (mean_r, mean_g, mean_b, mean_a)),
            std=as_channels("std", (std_r, std_g, std_b, std_a)),
            scale=as_float("scale", scale),
        )
        remote = self._as_remote(
            cache_dir, cache_limit, storage_options, retries, timeout, readahead
        )
        order = as_shuffle(type(self).__name__, shuffle, block_size, pool_blocks)
        mixed = mixture_options(weights, epoch_size, order)
        options = LoaderOptions(
            batch_size=batch_size,
            shuffle=order,
            seed=seed,
            last_batch=last_batch_mode(as_bool("round_batch", round_batch), last_batch_handle),
            shard=mixture_shard(num_parts, part_index, partition, mixed),
            ctx=ctx,
            executor=executor,
            preprocess_threads=preprocess_threads,
            prefetch_buffer=prefetch_buffer,
            on_error=on_error,
            data_name=data_name,
            label_name=label_name,
            antialias=crop.antialias,
            hw_decoder_load=hw_decoder_load,
            dct_scaling=as_bool("dct_scaling", dct_scaling),
            quarantine=() if quarantine is None else tuple(read_quarantine(quarantine, remote)),
            max_pixels=max_pixels,
            remote=remote,
        )
        options.check_size("resize: an image", crop.resize or 1, crop.resize or 1)
        options.check_size("pad: an image", 1 + 2 * crop.pad, 1 + 2 * crop.pad)
        seed_aug = options.seed if seed_aug is None else as_int("seed_aug", seed_aug)
        mixer = as_mixer("batch_augment", batch_augment, seed_aug, label_width)
        self._log_without_effect(
            max_random_area=(area != NONE and not resized_crop, "without random_resized_crop"),
            fill_value=(
                fill_value != 255 and not (crop.pad or affine.active),
                "without pad, rotation, shear or scale",
            ),
            pad=(pad < 0, "below 0"),
            rotate=(rotate <= 0 and rotate != -1, "unless it is above 0"),
            device_id=(device_id != 0, "because ctx is the device"),
            inter_method=(
                affine.turns
                and crop.method not in (NEAREST, LINEAR, AREA)
                and resolve_executor(executor, options.context) == "dali",
                "with rotation or shear by DALI, which interpolates bilinearly",
            ),
            mean_img=(bool(mean_img) and not output.normalizes, "with dtype uint8"),
            mean_r=(bool(mean_img) and any(output.mean), "with mean_img"),
            max_random_contrast=(
                jitter.gain + jitter.shift > 0 and not output.takes_light,
                "with an integer dtype",
            ),
        )
        table = None
        if path_imglist:
            table = read_label_table(path_imglist, label_width, True, remote)
        source = self._open_files(
            path_imgrec, path_imgidx, table, options, shuffle_chunk_size, shuffle_chunk_seed, mixed
        )
        label_shape = () if label_width == 1 else (label_width,)
        if mean_img and output.normalizes:
            unflipped = replace(crop, mirror=False, rand_mirror=False)
            planner = CropPlanner(
                unflipped, seed_aug, label_width, source.records.has_faces, jitter,
                policies, channels,
            )  # fmt: skip
            output = self._with_mean_image(output, mean_img, planner, label_shape, True)
        planner = CropPlanner(
            crop, seed_aug, label_width, source.records.has_faces, jitter, policies, channels,
            None if mixer is None else mixer.classes,
        )  # fmt: skip
        self._load(planner, output, label_shape, mixer=mixer)
        if verbose:
            log_opened(source, self.num_data, self._ctx)


class ImageRecordUInt8Iter(ImageRecordIter):
    """ImageRecordIter with dtype "uint8"."""

    _dtype = "uint8"


class ImageRecordInt8Iter(ImageRecordIter):
    """ImageRecordIter with dtype "int8"."""

    _dtype = "int8"


# MXNet's older implementations have the same results.
ImageRecordIter_v1 = ImageRecordIter
ImageRecordUInt8Iter_v1 = ImageRecordUInt8Iter
